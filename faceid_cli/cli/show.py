"""`faceid show`: everything about one person."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Name, Quiet, Verbose, examples
from faceid_cli.cli.output import out, pairs

if TYPE_CHECKING:
    from faceid_cli.api.show import Details

EPILOG = examples("faceid show alice", "faceid show alice --json")
_TAIL_STEPS = 20
_LAST_PICTURES = 10


def show(name: Name, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show everything about an enrolled person."""
    from faceid_cli.api.show import show as show_person

    details = show_person(name)
    data = {
        "command": "show",
        "identity": views.identity_data(details.identity),
        "runs": [{"id": run.id, "created": run.created, **asdict(run.run)} for run in details.runs],
        "renders": [{"id": made.id, "created": made.created, **asdict(made.render)} for made in details.renders],
    }
    out.result(data, _lines(details), [details.identity.name])
    out.hint(f'next: faceid generate {details.identity.name} "holding a coffee cup, mountains"')


def _lines(details: Details) -> list[str]:
    from faceid_cli.registry.base_models import shown_source

    person = details.identity
    lines = pairs(
        {
            "name": person.name,
            "class word": person.class_word,
            "method": views.method_text(person.method),
            "base model": f"{shown_source(person.base_model)} ({person.base_fingerprint})",
            "photos": str(len(person.photo_hashes)),
            "created": person.created,
            "tags": ", ".join(person.tags),
            "note": person.note,
            "consent": person.consent,
            "file": str(person.path),
        }
    )
    for run in details.runs:
        last = run.run.losses[-_TAIL_STEPS:]
        loss = f", reconstruction loss {sum(pair[0] for pair in last) / len(last):.4f} at the end" if last else ""
        scores = "".join(f", {key} {value:.3f}" for key, value in run.run.scores.items())
        lines.append(f"training {run.created}: {len(run.run.losses)} steps in {run.run.seconds:.0f} s{loss}{scores}")
    latest = details.renders[-_LAST_PICTURES:]
    lines += [f"picture {made.render.path}  seed {made.render.seed}  {made.render.prompt}" for made in latest]
    if (more := len(details.renders) - len(latest)) > 0:
        lines.append(f"... and {views.plural(more, 'picture')} before these (--json has all)")
    return lines


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show", epilog=EPILOG)(show)

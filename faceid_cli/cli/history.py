"""`faceid history`: what was rendered."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Quiet, Verbose, complete_names, examples
from faceid_cli.cli.output import out, table

EPILOG = examples("faceid history castle", "faceid history --person alice --limit 0 -q")
_HEADING = ("WHEN", "SEED", "PEOPLE", "FILE", "PROMPT")
_USUAL = 20


def history(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORDS]...", help="All in the prompt, the path or a name.")
    ] = None,
    person: Annotated[
        str | None,
        typer.Option("--person", metavar="NAME", help="Only pictures of them.", autocompletion=complete_names),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="The newest so many; 0 for all.")] = _USUAL,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search the pictures that were rendered, newest first."""
    from faceid_cli.api.history import history as search

    asked = None if limit == 0 else limit + 1 if limit > 0 else limit  # one more tells whether there are more
    found = search(words or (), person, asked)
    more = limit > 0 and len(found) > limit
    found = found[:limit] if limit else found
    rows = [
        (
            made.record.created[:16].replace("T", " "),
            str(made.record.render.seed),
            ", ".join(made.names),
            f"{made.record.render.path}{'' if made.is_there else ' (gone)'}",
            made.record.render.prompt,
        )
        for made in found
    ]
    data = [
        {
            "id": made.record.id,
            "created": made.record.created,
            "file": str(made.record.render.path),
            "exists": made.is_there,
            "names": list(made.names),
            "seed": made.record.render.seed,
            "prompt": made.record.render.prompt,
            "settings": made.record.render.settings,
        }
        for made in found
    ]
    out.result(
        {"command": "history", "renders": data, "more": more},
        table(rows, _HEADING) if rows else (),
        [str(made.record.render.path) for made in found],
    )
    if not found:
        out.note("no picture was found")
    elif more:
        out.hint(f"only the newest {views.plural(limit, 'picture')}; --limit 0 shows all")
    else:
        out.hint("next: faceid replay FILE renders one again")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("history", epilog=EPILOG)(history)

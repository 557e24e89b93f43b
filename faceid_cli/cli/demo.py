"""`faceid demo`: the whole way, from pictures of a person to the person in new scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from faceid_cli.cli import views
from faceid_cli.cli.options import Json, Quiet, Verbose, examples, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress, training_progress
from faceid_cli.orders.loading import Machine

EPILOG = examples("faceid demo", "faceid demo my-demo --person 12")


@spread(Machine, only=("device",))
def demo(
    given: dict[str, Any],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where everything goes.")] = Path("faceid-demo"),
    person: Annotated[int, typer.Option("--person", metavar="N", help="Which fictional person.")] = 0,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Optimiser steps.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the whole way, in a minute.

    Draws pictures of a fictional person, learns the person, and renders them into new scenes.
    """
    from faceid_cli.api.demo import demo as show_the_way

    with training_progress() as on_step, render_progress() as on_progress:
        result = show_the_way(
            folder,
            person=person,
            steps=steps,
            device=given["device"],
            on_command=lambda command: out.note(f"$ {command}"),
            on_step=on_step,
            on_progress=on_progress,
            on_note=out.note,
        )
    out.result(
        {
            "command": "demo",
            "identity": views.identity_data(result.identity),
            "photos": [str(file) for file in result.photos],
            "renders": [views.render_data(render) for render in result.renders],
            "contact_sheet": str(result.contact_sheet),
        },
        [*views.render_lines(result.renders), f"all of it on one sheet: {result.contact_sheet}"],
        [str(result.contact_sheet)],
    )
    out.hint(f'next: faceid generate {result.identity.name} "wearing a crown, castle", or faceid enroll NAME PHOTOS...')


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=EPILOG)(demo)

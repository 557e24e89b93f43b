"""`faceid samples`: picture files of a fictional person, for first steps."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.options import Json, Quiet, Verbose, examples
from faceid_cli.cli.output import out
from faceid_cli.orders.checks import user_path

EPILOG = examples("faceid samples photos", "faceid samples photos --person 12 --count 8")


def samples(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it does not exist.")],
    person: Annotated[int, typer.Option("--person", metavar="N", help="Which fictional person.")] = 0,
    count: Annotated[int, typer.Option("--count", metavar="K", help="Number of pictures.")] = 5,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw picture files of a fictional person."""
    from faceid_cli.api.samples import draw_samples

    files = draw_samples(folder, person=person, count=count)
    out.result(
        {"command": "samples", "person": person, "files": [str(file) for file in files]},
        [f"drew {views.plural(len(files), 'picture')} of person {person} in {folder}"],
        [str(file) for file in files],
    )
    # Pictures of others in the same folder would be learned, too.
    others = {file.name for file in user_path(folder).iterdir()} - {file.name for file in files}
    quoted = shlex.quote(str(folder))
    photos = f"{quoted}/person-{person}-*.png" if others else quoted
    out.hint(f"next: faceid enroll person{person} {photos}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("samples", epilog=EPILOG)(samples)

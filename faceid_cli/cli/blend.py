"""`faceid blend`: keep somebody between two enrolled people."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Quiet, Verbose, complete_names, examples
from faceid_cli.cli.output import out

EPILOG = examples(
    "faceid blend alice bob --name carol", "faceid blend alice bob --weight 0.3 --name carol --note 'a cousin'"
)


def blend(
    first: Annotated[str, typer.Argument(metavar="NAME", help="A person.", autocompletion=complete_names)],
    second: Annotated[str, typer.Argument(metavar="NAME", help="Another one.", autocompletion=complete_names)],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the new person.")],
    weight: Annotated[float, typer.Option("--weight", metavar="X", help="How much of the second, 0 to 1.")] = 0.5,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the person of that name.")] = False,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Kept with the person.")] = "",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Keep a new person between two enrolled ones; nothing is trained."""
    from faceid_cli.api.blend import blend as make

    person = make(first, second, name=name, weight=weight, replace=replace, note=note, on_note=out.note)
    data = {"command": "blend", "identity": views.identity_data(person)}
    out.result(data, [f"blended {person.name} from {first} and {second}"], [person.name])
    out.hint(f'next: faceid generate {person.name} "holding a coffee cup, mountains"')


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("blend", epilog=EPILOG)(blend)

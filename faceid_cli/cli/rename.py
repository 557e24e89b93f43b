"""`faceid rename`: give a person another name."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Name, Quiet, Verbose, examples
from faceid_cli.cli.output import out

EPILOG = examples("faceid rename alice anna", "faceid rename alice Alice")


def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="Letters, digits, - and _, 1 to 64 of them.")],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Give an enrolled person another name."""
    from faceid_cli.api.rename import rename as rename_person

    person = rename_person(name, new_name)
    out.result(
        {"command": "rename", "identity": views.identity_data(person)},
        [f"{name} is now called {person.name}"],
        [person.name],
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rename", epilog=EPILOG)(rename)

"""`faceid tag` and `faceid note`: what the user writes down about a person."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Name, Quiet, Verbose, examples
from faceid_cli.cli.output import out

EPILOG_OF_TAG = examples("faceid tag alice family 2026", "faceid tag alice 2026 --remove")
EPILOG_OF_NOTE = examples('faceid note alice "photos of the wedding"', 'faceid note alice ""')


def tag(
    name: Name,
    tags: Annotated[list[str], typer.Argument(metavar="TAG", help="A word to find them by, or several.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags away.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Give an enrolled person tags, or take them away."""
    from faceid_cli.api import notes

    person = notes.tag(name, tags, remove=remove, on_note=out.note)
    said = f"{person.name} has the tags: {', '.join(person.tags)}" if person.tags else f"{person.name} has no tags"
    out.result({"command": "tag", "identity": views.identity_data(person)}, [said], person.tags)


def note(
    name: Name,
    text: Annotated[str, typer.Argument(metavar="TEXT", help='Instead of the note before; "" for none.')],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Keep a note with an enrolled person."""
    from faceid_cli.api import notes

    person = notes.note(name, text)
    said = f"note of {person.name}: {person.note}" if person.note else f"{person.name} has no note"
    out.result({"command": "note", "identity": views.identity_data(person)}, [said], [person.note])


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("tag", epilog=EPILOG_OF_TAG)(tag)
    app.command("note", epilog=EPILOG_OF_NOTE)(note)

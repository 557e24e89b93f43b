"""`faceid import`: take in a person that `faceid export` wrote, or a textual inversion of another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Quiet, Verbose, examples
from faceid_cli.cli.output import out

EPILOG = examples("faceid import alice.safetensors --name alice-2 --tag friends", "faceid import anna.pt --class woman")


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `faceid export` wrote, or a textual inversion.")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name than the file's.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the person of that name.")] = False,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="May be repeated.")] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Kept with the person.")] = "",
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Base model that a textual inversion is for.")
    ] = None,
    class_word: Annotated[
        str | None, typer.Option("--class", metavar="WORD", help="What its person is: person, woman, man, ...")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Take in people from a file. The file is checked, and cannot run code."""
    from faceid_cli.api.import_ import import_people

    people = import_people(
        file,
        name=name,
        replace=replace,
        tags=tuple(tag or ()),
        note=note,
        model=model,
        class_word=class_word,
        on_note=out.note,
    )
    found = [views.identity_data(person) for person in people]
    # The key of one person is that of before there were bundles.
    first = {"identity": found[0]} if len(found) == 1 else {}
    lines = [f"imported {person.name}" for person in people]
    out.result({"command": "import", **first, "identities": found}, lines, [person.name for person in people])
    out.hint(f'next: faceid generate {people[0].name} "holding a coffee cup, mountains"')


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import", epilog=EPILOG)(import_file)

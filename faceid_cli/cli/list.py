"""`faceid list`: who is enrolled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Quiet, Verbose, examples
from faceid_cli.cli.output import out, table
from faceid_cli.types import Identity

EPILOG = examples("faceid list", "faceid list --tag family --json")
_HEADING = ("NAME", "CLASS", "METHOD", "PHOTOS", "BASE MODEL", "CREATED", "TAGS")


def list_people(
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only people with this tag.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the enrolled people."""
    from faceid_cli.api.list import list_identities, names_of_base_models

    people = list_identities(tag=tag)
    # There may be ten thousand, so only what is printed is made.
    out.result(
        {"command": "list", "identities": [views.identity_data(person) for person in people if out.mode == "json"]},
        _table(people, names_of_base_models()) if people and out.mode == "human" else (),
        (person.name for person in people),
    )
    for person in people:
        if person.damaged:
            out.warn(f"the entry of {person.name} is damaged: {', '.join(person.damaged)}; `faceid doctor` says more")
    if not people:
        out.note("nobody is enrolled" if tag is None else f"nobody has the tag {tag}")
        out.hint("next: faceid demo, or faceid enroll NAME PHOTOS...")


def _table(people: Sequence[Identity], base_models: Mapping[str, str]) -> list[str]:
    rows = [
        (
            person.name,
            person.class_word,
            views.method_text(person.method),
            str(len(person.photo_hashes)),
            base_models.get(person.base_model, person.base_model),
            person.created[:10],
            ", ".join(person.tags),
        )
        for person in people
    ]
    return table(rows, _HEADING)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list", epilog=EPILOG)(list_people)
    app.command("ls", hidden=True)(list_people)  # what a shell calls it

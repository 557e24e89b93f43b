"""`faceid list`: who is enrolled."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.options import Json, Quiet, Verbose, examples
from faceid_cli.cli.output import out, table

EPILOG = examples("faceid list", "faceid list --tag family --json")
_HEADING = ("NAME", "CLASS", "METHOD", "PHOTOS", "BASE MODEL", "CREATED", "TAGS")


def list_people(
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only people with this tag.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the enrolled people."""
    from faceid_cli.api.list import list_identities
    from faceid_cli.registry.base_models import names_of_sources

    people = list_identities(tag=tag)
    names = names_of_sources()
    rows = [
        (
            person.name,
            person.class_word,
            views.method_text(person.method),
            str(len(person.photo_hashes)),
            names.get(person.base_model, person.base_model),
            person.created[:10],
            ", ".join(person.tags),
        )
        for person in people
    ]
    out.result(
        {"command": "list", "identities": [views.identity_data(person) for person in people]},
        table(rows, _HEADING) if rows else (),
        [person.name for person in people],
    )
    for person in people:
        if person.damaged:
            out.warn(f"the entry of {person.name} is damaged: {', '.join(person.damaged)}; `faceid doctor` says more")
    if not people:
        out.note("nobody is enrolled" if tag is None else f"nobody has the tag {tag}")
        out.hint("next: faceid demo, or faceid enroll NAME PHOTOS...")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list", epilog=EPILOG)(list_people)
    app.command("ls", hidden=True)(list_people)  # what a shell calls it

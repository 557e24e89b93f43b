"""`faceid backup` and `faceid restore`: everybody in one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Quiet, Verbose, examples
from faceid_cli.cli.output import out

BACKUP_EPILOG = examples("faceid backup people.zip", "faceid backup /media/usb/people.zip --replace")
RESTORE_EPILOG = examples("faceid restore people.zip", "faceid restore people.zip --replace")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    replace: Annotated[bool, typer.Option("--replace", help="Write over an existing file.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write everybody to one file for `faceid restore`.

    Embeddings, crops, reports, records and settings; not pictures, base models and interrupted enrolments, and nothing
    of people who were removed. The file is not encrypted: keep it as you keep the photos.
    """
    from faceid_cli.api.backup import backup as write_backup
    from faceid_cli.cli.progress import file_progress

    with file_progress("backup") as show:
        made = write_backup(file, replace=replace, on_file=show)
    out.result(
        {
            "command": "backup",
            "file": str(made.path),
            "names": [person.name for person in made.people],
            "missing": list(made.missing),
        },
        [f"{made.path}: {views.plural(len(made.people), 'person', 'people')}"],
        [str(made.path)],
    )
    for name in made.missing:
        out.warn(f"{name} is not in it: the embedding is missing or damaged")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `faceid backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Let people give way to those of their names in the file.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Take everybody in who is in a backup, or nobody where anything is wrong with it.

    Whoever else is enrolled stays. The file is checked first, and cannot run code.
    """
    from faceid_cli.api.backup import restore as take_in
    from faceid_cli.cli.progress import file_progress

    with file_progress("restore") as show:
        people = take_in(file, replace=replace, on_file=show, on_note=out.note)
    names = [person.name for person in people]
    said = f"restored {views.plural(len(people), 'person', 'people')}: {', '.join(names)}"
    out.result(
        {"command": "restore", "identities": [views.identity_data(person) for person in people]},
        [said if people else "nobody is in it"],
        names,
    )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup", epilog=BACKUP_EPILOG)(backup)
    app.command("restore", epilog=RESTORE_EPILOG)(restore)

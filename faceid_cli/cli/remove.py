"""`faceid remove`: forget a person."""

from __future__ import annotations

import typer

from faceid_cli.cli import views
from faceid_cli.cli.options import Json, Name, Quiet, Verbose, Yes, examples
from faceid_cli.cli.output import out

EPILOG = examples("faceid remove alice", "faceid remove alice -y --json")


def remove(name: Name, yes: Yes = False, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Forget a person.

    Deletes what was learned, and the records of how, and of what was made. Pictures stay where they are and are listed.
    """
    from faceid_cli import api

    person = api.show(name).identity
    if not out.confirm(f"Forget {person.name}, with everything that was learned?", yes):
        out.note("nothing was removed")
        raise typer.Exit(1)
    removed = api.remove(person.name)
    pictures = [str(path) for path in removed.pictures if path.exists()]
    lines = [f"removed {person.name} and {views.plural(removed.runs, 'training run')}"]
    if pictures:
        lines += [f"{views.plural(len(pictures), 'picture')} left in place:", *(f"  {path}" for path in pictures)]
    out.result(
        {"command": "remove", "name": person.name, "id": person.id, "runs": removed.runs, "pictures": pictures},
        lines,
        [person.name],
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("remove", epilog=EPILOG)(remove)

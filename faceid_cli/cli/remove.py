"""`faceid remove`: forget a person."""

from __future__ import annotations

import typer

from faceid_cli.cli import views
from faceid_cli.cli.options import Json, Name, Quiet, Verbose, Yes, examples
from faceid_cli.cli.output import out
from faceid_cli.errors import OutputError, UnknownNameError

EPILOG = examples("faceid remove alice", "faceid remove alice -y --json")


def remove(name: Name, yes: Yes = False, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Forget a person, or an interrupted enrolment.

    Deletes what was learned, and the records of how, and of what was made. Pictures stay where they are and are listed.
    """
    from faceid_cli.api import remove as removing
    from faceid_cli.api.show import show

    try:
        person = show(name).identity
    except UnknownNameError:
        if not removing.is_unfinished(name):
            raise
        _remove_unfinished(name, yes)
        return
    _make_sure(f"Forget {person.name}, with everything that was learned?", yes)
    removed = removing.remove(person.name)
    pictures = [str(path) for path in removed.pictures if path.exists()]
    lines = [f"removed {person.name} and {views.plural(removed.runs, 'training run')}"]
    if pictures:
        lines += [f"{views.plural(len(pictures), 'picture')} left in place:", *(f"  {path}" for path in pictures)]
    left = [str(path) for path in removed.left]
    out.result(_data(person.name, person.id, removed.runs, pictures, left), lines, [person.name])
    for path in left:
        out.warn(f"could not be deleted or cleaned, do it by hand: {path}")
    if left:
        raise typer.Exit(OutputError.exit_code)


def _remove_unfinished(name: str, yes: bool) -> None:
    from faceid_cli.api import remove as removing

    _make_sure(f"Forget the interrupted enrolment of {name}?", yes)
    removing.remove_unfinished(name)
    out.result(_data(name, None, 0, [], []), [f"removed the interrupted enrolment of {name}"], [name])


def _make_sure(question: str, yes: bool) -> None:
    if not out.confirm(question, yes):
        out.note("nothing was removed")
        raise typer.Exit(1)


def _data(name: str, id_: str | None, runs: int, pictures: list[str], left: list[str]) -> dict[str, object]:
    return {"command": "remove", "name": name, "id": id_, "runs": runs, "pictures": pictures, "left": left}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("remove", epilog=EPILOG)(remove)

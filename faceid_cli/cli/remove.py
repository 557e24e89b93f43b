"""`faceid remove`: forget people."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Names, Quiet, Verbose, Yes, examples
from faceid_cli.cli.output import out
from faceid_cli.errors import OutputError, UnknownNameError

EPILOG = examples("faceid remove alice", "faceid remove alice bob -y --if-enrolled")


def remove(
    names: Names,
    if_enrolled: Annotated[
        bool, typer.Option("--if-enrolled", help="Be content where a name is not, or no longer, enrolled.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Forget people, or interrupted enrolments.

    Deletes what was learned, and the records of how, and of what was made. Pictures stay where they are and are listed.
    """
    finished = [again for name in dict.fromkeys(names) if (again := _finish(name)) is not None]
    people, unfinished = _looked_up(names, if_enrolled, {data["name"].lower() for data, _ in finished})
    _make_sure(people, unfinished, yes)
    removed = finished + [_remove(name) for name in people] + [_remove_unfinished(name) for name in unfinished]
    lines = [line for _, said in removed for line in said]
    data = [each for each, _ in removed]
    # The keys of one person are those of before several could be given.
    first = data[0] if len(data) == 1 else {}
    out.result({"command": "remove", **first, "removed": data}, lines, [each["name"] for each in data])
    left = [path for each in data for path in each["left"]]
    for path in left:
        out.warn(f"could not be deleted or cleaned, do it by hand: {path}")
    if left:
        raise typer.Exit(OutputError.exit_code)


def _looked_up(names: list[str], if_enrolled: bool, finished: set[str]) -> tuple[list[str], list[str]]:
    """Who is enrolled, and whose enrolment was interrupted, by names as they are kept, once each.

    Args:
        names: As they were given.
        if_enrolled: Whether a name may be unknown.
        finished: Names, in lower case, of people whose removal had stopped half-way, and is finished now.

    Raises:
        UnknownNameError: One of them is neither, and that is not allowed; nobody has been removed then.
    """
    from faceid_cli.api.remove import is_unfinished, name_of

    people: dict[str, str] = {}
    unfinished: dict[str, str] = {}
    for name in names:
        try:
            people.setdefault(name.lower(), name_of(name))
        except UnknownNameError:
            if is_unfinished(name):
                unfinished.setdefault(name.lower(), name)
            elif name.lower() in finished:
                continue
            elif if_enrolled:
                out.note(f"{name} is not enrolled")
            else:
                raise
    return list(people.values()), list(unfinished.values())


def _finish(name: str) -> tuple[dict[str, Any], list[str]] | None:
    """What an earlier removal that stopped half-way has left; None if there was none."""
    from faceid_cli.api import remove as removing

    finished = removing.finish_removal(name)
    if finished is None:
        return None
    gone, left = finished.entry, [str(path) for path in finished.left]
    return _data(gone.name, gone.identity_id, 0, [], left), [f"finished the removal of {gone.name}"]


def _remove(name: str) -> tuple[dict[str, Any], list[str]]:
    from faceid_cli.api import remove as removing

    removed = removing.remove(name)
    pictures = [str(path) for path in removed.pictures if path.exists()]
    lines = [f"removed {name} and {views.plural(removed.runs, 'training run')}"]
    if pictures:
        lines += [f"{views.plural(len(pictures), 'picture')} left in place:", *(f"  {path}" for path in pictures)]
    left = [str(path) for path in removed.left]
    return _data(name, removed.identity.id, removed.runs, pictures, left), lines


def _remove_unfinished(name: str) -> tuple[dict[str, Any], list[str]]:
    from faceid_cli.api import remove as removing

    removing.remove_unfinished(name)
    return _data(name, None, 0, [], []), [f"removed the interrupted enrolment of {name}"]


def _make_sure(people: list[str], unfinished: list[str], yes: bool) -> None:
    what = []
    if people:
        what.append(f"{_listed(people)}, with everything that was learned")
    if unfinished:
        what.append(f"the interrupted enrolment of {_listed(unfinished)}")
    if what and not out.confirm(f"Forget {', and '.join(what)}?", yes):
        out.note("nothing was removed")
        raise typer.Exit(1)


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _data(name: str, id_: str | None, runs: int, pictures: list[str], left: list[str]) -> dict[str, Any]:
    return {"name": name, "id": id_, "runs": runs, "pictures": pictures, "left": left}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("remove", epilog=EPILOG)(remove)

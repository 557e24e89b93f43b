"""Who is to be learned: rows from a file or from Python, or folders with a folder for each person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from faceid_cli.api.row_files import content_of
from faceid_cli.errors import UsageError
from faceid_cli.jobs.reading import kind_of_people, read_rows
from faceid_cli.jobs.rows import Place, Row
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.people import PeopleOrder
from faceid_cli.types import OnNote


def whole_paths(photos: Iterable[Path | str] | Path | str) -> tuple[str, ...]:
    """Photos with their whole paths. A cell is divided at commas, unless the whole of it is a path with commas."""
    parts = [photos] if isinstance(photos, str | Path) else list(photos)
    whole = ",".join(map(str, parts))
    found = [whole] if len(parts) > 1 and user_path(whole).exists() else parts
    return tuple(str(user_path(each).absolute()) for each in found)


def rows_of_people(
    people: Path | str | Iterable[Mapping[str, Any]] | None, order: PeopleOrder, note: OnNote
) -> list[Row]:
    """A row for each person, from a file, a pipe, mappings, or folders.

    Raises:
        UsageError: Nobody is named, or what names them cannot be read.
    """
    if order.each:
        found = [row for folder in order.each for row in _rows_of_folder(folder, note)]
        if not found:
            raise UsageError(f"no folders in {', '.join(order.each)}", "put each person's photos into a folder")
        return found
    if people is None:
        raise UsageError("nobody is named", "give --from FILE or --each FOLDER")
    if not isinstance(people, str | Path):
        return [Row(Place("", number), dict(row)) for number, row in enumerate(people, 1)]
    name, content = content_of(people, "people")
    kind = kind_of_people(name, content) if order.rows_format == "auto" else order.rows_format
    return read_rows(name, content, kind, "a row for each person")


def _rows_of_folder(folder: str, note: OnNote) -> Iterator[Row]:
    try:
        inside = sorted(user_path(folder).iterdir())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {folder}: {reason}", "give a folder with a folder for each person") from error
    files = 0
    for path in inside:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield Row(Place(str(path)), {"name": path.name, "photos": [str(path)]})
        else:
            files += 1
    if files:
        said = "1 file in no person's folder is" if files == 1 else f"{files} files in no person's folder are"
        note(f"{folder}: {said} left out")

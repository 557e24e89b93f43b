"""Files of rows: a prompt a line, CSV, JSON a line, or YAML. A row that cannot be read does not keep others from it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faceid_cli.errors import FaceIDError, UsageError
from faceid_cli.jobs.kohya import read_line
from faceid_cli.jobs.rows import FieldError, Place, Row, located, row_of, text_of
from faceid_cli.kept.foreign import parse_json

_KINDS = {
    ".txt": "text",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
}
_MOST_LETTERS = 100_000_000
"""Of a YAML file with its aliases written out: a short one can stand for more than any memory holds."""
_JSON = re.compile(r'\s*\{\s*"')  # a prompt may begin with {name}, too


def read_rows(name: str, content: bytes, kind: str = "auto", what: str = "a prompt a line") -> list[Row]:
    """Read rows.

    Args:
        name: Of the file, for messages; its suffix says what it is.
        content: Its bytes.
        kind: "text", "csv", "jsonl", "json", "yaml"; "auto" goes by the name, without a known suffix by how it begins.
        what: Is to be written into it, for the hint of an empty one.

    Raises:
        UsageError: Not UTF-8, no rows at all, YAML that is none, or CSV whose first line cannot be read.
    """
    text = text_of(name, content)
    if kind == "auto":
        kind = _KINDS.get(Path(name).suffix.lower()) or ("jsonl" if _JSON.match(text) else "text")
    readers = {"text": _text, "csv": _csv, "jsonl": _jsonl, "json": _yaml, "yaml": _yaml}  # JSON is YAML, too
    rows = list(readers[kind](name, text))
    if not rows:
        raise UsageError(f"{name} has no rows", f"write {what}, or name its format with --rows-format")
    return rows


def kind_of_people(name: str, content: bytes) -> str:
    """What a file of people is, where nobody says it: as for `read_rows`, but CSV where that would be plain text."""
    kind = _KINDS.get(Path(name).suffix.lower(), "text")
    return ("jsonl" if content.lstrip()[:1] == b"{" else "csv") if kind == "text" else kind


def _text(name: str, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = Place(name, number)
        try:
            yield Row(place, read_line(line))
        except FaceIDError as error:
            yield Row(place, {"prompt": line.strip()}, error)


def _csv(name: str, text: str) -> Iterator[Row]:
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    # Strict, or a quote that is never closed takes all lines behind it into its cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True)
    columns: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            refused = _no_csv(error, line, reader.line_num)
            if columns is None:  # no row says anything without them
                raise located(refused, Place(name, line)) from error
            yield Row(Place(name, line), {}, refused)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = [cell.strip() for cell in cells]
            continue
        place = Place(name, line)
        row = row_of(place, [(column, cell) for column, cell in zip(columns, cells, strict=False) if cell.strip()])
        if len(cells) > len(columns):
            extra = UsageError(
                f"there are {len(cells)} cells and {len(columns)} columns", 'put prompts with commas into quotes: "..."'
            )
            yield Row(place, row.values, extra)
            continue
        yield row


def _no_csv(error: csv.Error, first: int, last: int) -> UsageError:
    """What is wrong with a row that takes these lines."""
    reason = "a quote is never closed" if "unexpected end" in str(error) else str(error)
    lost = f", so lines {first} to {last} are not read" if last > first else ""
    return UsageError(
        f"this is no CSV: {reason}{lost}", 'a cell in quotes ends with one; quotes within are doubled: "a ""red"" hat"'
    )


def _jsonl(name: str, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        place = Place(name, number)
        try:
            value = parse_json(line, is_written_by_hand=True)
        except ValueError as error:
            yield Row(place, {}, UsageError(f"this cannot be read as JSON: {error}", "write an object a line"))
            continue
        yield _row(place, value)


def _yaml(name: str, text: str) -> Iterator[Row]:
    import yaml

    loader = yaml.SafeLoader(text)
    as_written = dict.fromkeys((f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")), _as_written)
    loader.yaml_constructors = {**loader.yaml_constructors, **as_written}
    try:
        top = loader.get_single_node()
        if top is None:
            return
        if not isinstance(top, yaml.SequenceNode):
            raise UsageError(f"{name} is no list of rows", "begin each row with a dash: - prompt: ...")
        if _letters(top, {}) > _MOST_LETTERS:
            raise UsageError(f"{name} is too large with its aliases written out", "write rows without them")
        twice = [_key_twice(node) for node in top.value]  # before merged keys (<<) are put among the others
        for node, key in zip(top.value, twice, strict=True):
            place, value = Place(name, node.start_mark.line + 1), loader.construct_object(node, deep=True)
            error = FieldError(key, "is there twice", "leave out one of them") if key else None
            yield _row(place, value) if error is None else Row(place, {}, error)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{name} cannot be read as YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()


def _as_written(loader: Any, node: Any) -> Any:
    """A number, or its text where YAML has a way of its own to write it: 010 is no 8, and 12:30 no 750."""
    text = str(loader.construct_scalar(node))
    for kind in (int, float):
        try:
            if str(number := kind(text)) == text:
                return number
        except ValueError:
            continue
    return text


def _key_twice(node: Any) -> str:
    """A key that a row of YAML has twice; "" where it has none."""
    keys = [key.value for key, _ in node.value if isinstance(key.value, str)] if node.id == "mapping" else []
    return next((key for key, times in Counter(keys).items() if times > 1), "")


def _letters(node: Any, known: dict[int, int]) -> int:
    """How many letters a node of YAML stands for, with its aliases written out; too many where it holds itself."""
    if isinstance(node.value, str):
        return 1 + len(node.value)
    if id(node) not in known:
        known[id(node)] = _MOST_LETTERS
        parts = [part for each in node.value for part in (each if isinstance(each, tuple) else (each,))]
        known[id(node)] = 1 + sum(_letters(part, known) for part in parts)
    return known[id(node)]


def _row(place: Place, value: Any) -> Row:
    if isinstance(value, str):
        return Row(place, {"prompt": value})
    if not isinstance(value, dict):
        return Row(place, {}, FieldError("", f"this is no row: {value!r}", 'such as {"prompt": "a castle"}'))
    return Row(place, {str(key): each for key, each in value.items() if each is not None})

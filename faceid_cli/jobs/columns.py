"""From columns to options: every option of an order, by the name of its field or by what the command line says."""

from __future__ import annotations

import types
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from faceid_cli.errors import UsageError
from faceid_cli.jobs.rows import FieldError
from faceid_cli.orders import EnrolOrder, RenderOrder
from faceid_cli.orders.batching import read_seeds
from faceid_cli.orders.enrolling import box_text
from faceid_cli.orders.option import Option, Options, leaves
from faceid_cli.types import Box

SEEDS, NAME, REQUEST, ERROR = "seeds", "name", "request", "error"
"""Columns beside the options: several seeds; one name for names; and of rows that failed, which picture they were to
be, and why they failed, which is not read back."""
_ORDERS: dict[str, type[Options]] = {"generate": RenderOrder, "enroll": EnrolOrder}
_ON = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def options_of(columns: Mapping[str, Any], order: type[Options] = RenderOrder) -> dict[str, Any]:
    """Options by field names, and of pictures "seeds".

    Args:
        columns: Values as they were read: texts, or numbers, booleans and lists of JSON and YAML.
        order: Whose options.

    Raises:
        FieldError: An unknown column, one that is there twice, or a value that cannot be.
    """
    found: dict[str, Any] = {}
    usual: dict[str, Any] = {}
    for column, value in columns.items():
        if column == ERROR:
            continue
        if column == REQUEST and order is RenderOrder:
            found[REQUEST] = str(value)
            continue
        value = list(value) if isinstance(value, tuple) else value  # rows from Python
        is_seeds = column.strip().lower() == SEEDS and order is RenderOrder
        own = SEEDS if is_seeds else field_of(column, order)
        try:
            read = _seeds(column, value) if is_seeds else _read(order, own, column, value)
            checked = _checked(order, column, read)
        except (TypeError, ValueError, OverflowError):  # lists, and numbers of any size, where an option has others
            raise FieldError(column, "has a value that it cannot have") from None
        for name, each in checked.items():
            if name != own and name in leaves(order) and each == leaves(order)[name][2]:
                usual[name] = each  # which a column of its own may say otherwise
                continue
            if name in found:
                raise FieldError(column, f"says again what another column says: {name}")
            found[name] = each
    return {**usual, **found}


def fields_said(columns: Mapping[str, Any], order: type[Options] = RenderOrder) -> set[str]:
    """Fields of an order, and of pictures "seeds", that columns say something of, whether or not it can be read."""
    said: set[str] = set()
    for column, value in columns.items():
        with suppress(FieldError):
            said |= {SEEDS} if column.strip().lower() == SEEDS else {field_of(column, order)}
        with suppress(FieldError):  # some say several
            said |= set(options_of({column: value}, order))
    return said


def with_common(
    columns: Mapping[str, Any], common: Mapping[str, Any], order: type[Options] = RenderOrder
) -> dict[str, Any]:
    """Columns with options that all rows have in common, where they do not say them: to be given again alone.

    Args:
        columns: As they were read, whether or not they can be.
        common: By field names.
        order: Whose options.
    """
    said = fields_said(columns, order)
    return {**{name: written(value) for name, value in common.items() if name not in said}, **columns}


def written(value: Any) -> Any:
    """A value as JSON has it; files with their whole paths."""
    if isinstance(value, Box):
        return box_text(value)
    if isinstance(value, tuple | list):
        return [written(each) for each in value]
    return str(value.absolute()) if isinstance(value, Path) else value


def field_of(label: str, order: type[Options] = RenderOrder) -> str:
    """The field of an order that a column means.

    Raises:
        FieldError: None, or several.
    """
    name = label.strip().lower().removeprefix("--").replace("-", "_").replace(" ", "_")
    command = next(name for name, each in _ORDERS.items() if each is order)
    known = _labels(command)
    if name in known:
        return known[name]
    meant = {known[each] for each in known if len(name) > 3 and each.startswith(name)}
    if len(meant) == 1:
        return meant.pop()
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"columns are called as the options of faceid {command}"
    raise FieldError(label, "there is no such option", hint)


@cache
def _labels(command: str) -> dict[str, str]:
    """Fields of a command's order by all that they are called."""
    order = _ORDERS[command]
    known: dict[str, str] = {}
    for field, (asked, _, _) in leaves(order).items():
        for flag in (*asked.flags, asked.former):
            if flag.startswith("--"):
                known.setdefault(flag[2:].replace("-", "_"), field)
    more = {NAME: "names"} if order is RenderOrder else {}
    return {**known, **{field: field for field in leaves(order)}, **more}


def _seeds(column: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {SEEDS: tuple(_whole(column, each) for each in value)}
    try:
        return read_seeds(str(value))
    except UsageError as error:
        raise FieldError(column, error.message, error.hint) from error


def _read(order: type[Options], field: str, column: str, value: Any) -> dict[str, Any]:
    asked, kind, default = leaves(order)[field]
    if field == "names":
        return {field: _names(column, value)}
    has_other_flag = f"--{field.replace('_', '-')}" not in asked.flags  # such as --size, which is read as two fields
    is_number = has_other_flag and _is_field_itself(column, field) and _plain(kind) in (int, float)
    if asked.read is not None and not is_number:
        if isinstance(value, list):
            return {field: tuple(value)}
        return _by_option(column, asked, value)
    return {field: _value(column, kind, default, value)}


def _is_field_itself(column: str, field: str) -> bool:
    return column.strip().lower().replace("-", "_") == field


def _by_option(column: str, asked: Option, value: Any) -> dict[str, Any]:
    assert asked.read is not None
    try:
        return dict(asked.read(_text(column, value)))
    except UsageError as error:
        raise FieldError(column, error.message, error.hint) from error


def _names(column: str, value: Any) -> tuple[str, ...]:
    said = value if isinstance(value, list) else _text(column, value).replace("+", ",").split(",")
    parts = [_text(column, each) for each in said]
    names = tuple(part.strip() for part in parts)
    if not all(names):
        raise FieldError(column, f"{value!r} leaves out a name", "several people of one picture: alice+bob")
    return names


def _value(column: str, kind: Any, default: Any, value: Any) -> Any:
    plain = _plain(kind)
    if plain is bool or isinstance(default, bool):
        return _switch(column, value)
    if plain is int:
        return _whole(column, value)
    if plain is float:
        return _number(column, value)
    if get_origin(plain) is tuple:
        parts = value if isinstance(value, list) else [part.strip() for part in _text(column, value).split(",")]
        found, kinds = tuple(text for part in parts if (text := _text(column, part))), get_args(plain)
        if found and Ellipsis not in kinds and len(found) != len(kinds):
            raise FieldError(column, f"has {len(found)} of {len(kinds)} values", "write them with commas between")
        return found
    return Path(_text(column, value)) if plain is Path else _text(column, value)


def _text(column: str, value: Any) -> str:
    """A value as it was written."""
    if isinstance(value, bool):  # in YAML, words such as these
        raise FieldError(column, f"{value!r} is no text", 'put yes, no, on, off, true and false into quotes: "yes"')
    if isinstance(value, list | tuple | dict | set | bytes):
        raise FieldError(column, f"{value!r} is no single value")
    return str(value)


def _plain(kind: Any) -> Any:
    """A type without None; of several the last, which is the widest."""
    if get_origin(kind) in (Union, types.UnionType):
        found = [each for each in get_args(kind) if each is not type(None)]
        return found[0] if len(found) == 1 else str
    return kind


def _switch(column: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if (word := str(value).strip().lower()) not in _ON:
        raise FieldError(column, f"{value!r} is neither true nor false")
    return _ON[word]


def _whole(column: str, value: Any) -> int:
    try:
        if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise FieldError(column, f"{value!r} is no whole number") from None


def _number(column: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise FieldError(column, f"{value!r} is no number") from None


def _checked(order: type[Options], column: str, values: dict[str, Any]) -> dict[str, Any]:
    """Values as their options take them, one by one, so that the column can be named."""
    for field, value in values.items():
        check = leaves(order)[field][0].check if field in leaves(order) else None
        if check is None or (field == "output"):  # names are filled in later
            continue
        try:
            check(value)
        except UsageError as error:
            raise FieldError(column, error.message, error.hint) from error
    return values

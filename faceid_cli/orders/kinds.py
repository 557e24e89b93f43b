"""Whether a value is of the type that a field has; numpy's numbers, and what stands for a value, are taken as it."""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from faceid_cli.errors import UsageError

_WORDS: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("True or False", "True or False"),
    str: ("a text", "texts"),
    Path: ("a path", "paths"),
    types.NoneType: ("None", "None"),
}
_LONGEST = 80


def fitted(name: str, kind: Any, value: Any) -> Any:
    """Return a value as its type has it.

    An int stands for a float, a text for a path and the other way round, numpy's numbers for Python's, and one text for
    several. A bool is no number.

    Args:
        name: What the value is of, for the message.
        kind: int, float, bool, str, Path, a class; tuples and unions of such.
        value: What was given.

    Raises:
        UsageError: It is of another type.
    """
    try:
        return _as(kind, value)
    except (TypeError, OverflowError):
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST else f"of the type {type(value).__name__}"
        raise UsageError(f"{name} is {shown}", f"use {_words(kind)}") from None


def exact_types(kind: Any) -> frozenset[type]:
    """Types whose values are taken as they are; tuples are not among them, since what is in them counts."""
    if _is_union(kind):
        return frozenset[type]().union(*map(exact_types, get_args(kind)))
    if get_origin(kind) is tuple:
        return frozenset()
    return frozenset({kind, type(Path())} if kind is Path else {kind})


def _as(kind: Any, value: Any) -> Any:
    """The value as of a type; TypeError where it is of another."""
    if _is_union(kind):
        return _as_one_of(get_args(kind), value)
    if get_origin(kind) is tuple:
        return _as_tuple(get_args(kind), value)
    if getattr(value, "shape", None) == ():  # a number of numpy's
        value = value.item()
    if kind in (int, float) and isinstance(value, bool):
        raise TypeError
    if kind is float and isinstance(value, int):
        return float(value)
    if kind in (str, Path) and isinstance(value, os.PathLike | str):
        return value if isinstance(value, kind) else kind(value)
    if not isinstance(value, kind):
        raise TypeError
    return value


def _as_one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in kinds:
        try:
            return _as(kind, value)
        except TypeError:
            continue
    raise TypeError


def _as_tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    is_open = kinds[-1] is Ellipsis
    if isinstance(value, str | os.PathLike) and is_open:
        value = (value,)
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError
    parts = tuple(value)
    if is_open:
        return tuple(_as(kinds[0], part) for part in parts)
    if len(parts) != len(kinds):
        raise TypeError
    return tuple(map(_as, kinds, parts))


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _words(kind: Any, plural: bool = False) -> str:
    if _is_union(kind):
        *first, last = (_words(each, plural) for each in get_args(kind))
        return f"{', '.join(first)} or {last}"
    if get_origin(kind) is tuple:
        each, *rest = get_args(kind)
        of = f"{_words(each, plural=True)}" if Ellipsis in rest else f"{1 + len(rest)} {_words(each, plural=True)}"
        return f"tuples of {of}" if plural else f"a tuple of {of}"
    return _WORDS.get(kind, (f"a {kind.__name__}", f"{kind.__name__}es"))[plural]

"""What can be said about several people of one picture: where they are, and how much of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import within
from faceid_cli.types import Region

AUTO, NO_LAYOUT = "auto", "none"
GRIDS = {"left-right": 2, "triple": 3, "four": 4, "squares": 4}
"""Layouts by name, and how many people they hold: side by side, or two above two."""
MOST_PEOPLE = 4
LIKENESS_HINT = "0 is anybody of the class, 1 the person, 2 the most"
LAYOUTS = (AUTO, *GRIDS, NO_LAYOUT)


def check_layout(value: str) -> str:
    """Return a layout that exists, or the name of a JSON file.

    Raises:
        UsageError: Anything else.
    """
    if value not in LAYOUTS and not is_layout_file(value):
        raise UsageError(f"unknown layout {value!r}", f"choose one of: {', '.join(LAYOUTS)}, or give a .json file")
    return value


def is_layout_file(value: str) -> bool:
    """Whether a layout is a file."""
    return value.lower().endswith(".json")


def parse_region(text: str) -> tuple[str, Region]:
    """Read "alice=0.0,0.1,0.5,1.0" as (who, region).

    Raises:
        UsageError: Anything else, or a region that is empty or outside of the picture.
    """
    who, equals, rest = text.partition("=")
    try:
        left, top, right, bottom = (float(edge) for edge in rest.split(","))
    except ValueError:
        equals = ""
    if not (who.strip() and equals):
        raise UsageError(f"{text!r} is no region", "write it as NAME=LEFT,TOP,RIGHT,BOTTOM: alice=0.0,0.1,0.5,1.0")
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise UsageError(
            f"the region {text} is empty, or not in the picture",
            "edges are shares of the picture from 0 to 1: left before right, top before bottom",
        )
    return who.strip(), (left, top, right, bottom)


def check_regions(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return regions that can be read; raises as `parse_region`."""
    for text in value:
        parse_region(text)
    return tuple(value)


def read_likeness(text: str) -> dict[str, Any]:
    """Read "0.8" as the likeness of all, "alice=0.8,bob=1.2" as that of some; the others have the usual one.

    Both fields are said, or one of them would be left of what is said elsewhere, of all rows or in a record.

    Raises:
        UsageError: Anything else.
    """
    of_all: float | None = None
    of_some: dict[str, float] = {}
    for part in str(text).split(","):
        name, equals, number = part.strip().rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise UsageError(
                f"{text!r} is no likeness", "such as 0.8, or of several people alice=0.8,bob=1.2"
            ) from None
        if name in of_some or (not equals and of_all is not None):
            raise UsageError(f"{text!r} says a likeness twice", "one number for all; others as alice=0.8")
        if equals:
            of_some[name] = value
        else:
            of_all = value
    said = tuple(f"{name}={value:g}" for name, value in of_some.items())
    return {"likeness": 1.0 if of_all is None else of_all, "likeness_of": said}


def written_likeness(group: Any) -> str | None:
    """The opposite of `read_likeness`; None where all is as usual."""
    of_all = [f"{group.likeness:g}"] if group.likeness != 1 else []
    return ",".join([*of_all, *group.likeness_of]) or None


def check_likeness_of(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return likenesses of single people, "NAME=X" each.

    Raises:
        UsageError: They cannot be read, or are out of range.
    """
    check = within("likeness is {:g}", 0, 2, LIKENESS_HINT)
    for text in value:
        name, _, number = text.rpartition("=")
        try:
            check(float(number))
        except ValueError:
            name = ""
        if not name:
            raise UsageError(f"{text!r} is nobody's likeness", "write it as NAME=X, such as alice=0.8")
    return tuple(value)


def check_named(likeness_of: Iterable[str], names: Collection[str]) -> None:
    """Check that likenesses of single people are of those who are there.

    Args:
        likeness_of: "NAME=X" each.
        names: Of the people.

    Raises:
        UsageError: The likeness of a stranger.
    """
    for text in likeness_of:
        if (name := text.rpartition("=")[0]) not in names:
            raise UsageError(f"{name} has a likeness, and is not in the picture", f"it has {', '.join(names)}")


def composed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a picture with several people, only one of whom may have a name: it is given regions all the same."""
    is_open = len(given["names"]) == 1 and not given.get("layout") and not given.get("region")
    return {**given, "layout": AUTO} if is_open else dict(given)

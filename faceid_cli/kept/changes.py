"""Changes to an order as text: OPTION=VALUE, for every option of a rendering."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.kept.defaults import Kept
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.option import leaves

_APART = ("output", "overwrite", "min_likeness", "tries")
"""What has an option of its own wherever changes can be said, or is about other pictures than the one."""
_PARTS = ("likeness_of", "fit_batch")
"""What is said as a part of another option."""


def read_changes(texts: Iterable[str]) -> dict[str, Any]:
    """Read "OPTION=VALUE", several times, as options of `RenderOrder` by name.

    An option is called as on the command line, with or without its dashes, or as from Python; `prompt` and `names`
    (with commas between) can be changed, too. No value at all goes back to what is usual.

    Raises:
        UsageError: No such option, one that is changed twice, or a value that it cannot have.
    """
    known = _known()
    found: dict[str, Any] = {}
    said: set[str] = set()
    for text in texts:
        name, equals, value = text.partition("=")
        label = name.strip().lstrip("-").replace("_", "-").lower()
        field = known.get(label)
        if label.replace("-", "_") in _APART:
            hint = "give -o PATH" if label == "output" else "it tells which pictures are kept"
            raise UsageError(f"{text!r} changes nothing in a picture", hint)
        if not equals or field is None:
            near = get_close_matches(name.strip().lstrip("-"), known, n=1)
            hint = f"did you mean {near[0]}={value or 'VALUE'}?" if near else f"options are: {', '.join(sorted(known))}"
            raise UsageError(f"{text!r} changes nothing", hint)
        read = _read(field, value.strip())
        if field in said or not found.keys().isdisjoint(read):
            raise UsageError(f"{text!r} changes again what another change does", "leave out one of them")
        said.add(field)
        found |= read
    return found


def _known() -> dict[str, str]:
    """Fields of a rendering by what they are called."""
    found = {"name": "names"}
    for field, (asked, _, _) in leaves(RenderOrder).items():
        if field in (*_APART, *_PARTS):
            continue
        flags = [flag.removeprefix("--") for flag in asked.flags if flag.startswith("--")]
        found |= dict.fromkeys((field.replace("_", "-"), *flags), field)
    return found


def _read(field: str, value: str) -> dict[str, Any]:
    asked, kind, default = leaves(RenderOrder)[field]
    if field == "names":
        return {field: tuple(each.strip() for each in value.replace("+", ",").split(",") if each.strip())}
    if field == "prompt":
        return {field: value}
    if not value:
        return {field: default} | ({"height": None} if field == "width" else {})
    if field == "width" and value.isdecimal():  # else it is read as --size
        return {field: int(value)}
    return Kept(field, asked, kind, default, (RenderOrder,), of_preset=False).read(value)

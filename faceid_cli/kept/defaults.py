"""Options as the user's own settings: which there are, what text stands for a value, and where they stand in.

What an option may be is asked of the option itself. Options of one picture or one person cannot be kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from faceid_cli.errors import FaceIDError, UsageError
from faceid_cli.orders import PRESETS, EnrolOrder, RenderOrder, TrainConfig
from faceid_cli.orders.option import Option, Options, leaves
from faceid_cli.orders.sampling import FAST
from faceid_cli.orders.words import whole_path
from faceid_cli.types import OnNote

Order = TypeVar("Order", RenderOrder, EnrolOrder)

ORDERS: dict[str, type[RenderOrder] | type[EnrolOrder]] = {"generate": RenderOrder, "enroll": EnrolOrder}
_REQUIRED: dict[type[Options], dict[str, Any]] = {
    RenderOrder: {"names": ("anna",), "prompt": "x"},
    EnrolOrder: {"name": "anna", "photos": ("x",)},
}
_APART = ("model", "device", "precision", "output")
"""Options that are settings of their own, for all commands."""
_ON = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
_OF_PRESETS = {name for name in leaves(TrainConfig) if len({getattr(each, name) for each in PRESETS.values()}) > 1}


@dataclass(frozen=True)
class Kept:
    """An option that the user can keep another default for.

    Attributes:
        field: Its name in the orders.
        option: The option.
        kind: The type of its field.
        default: What it is if nothing is said.
        orders: Whose option it is; several where it means the same in all of them.
        of_preset: Whether what is left unsaid is as in a preset.
    """

    field: str
    option: Option
    kind: Any
    default: Any
    orders: tuple[type[Options], ...]
    of_preset: bool

    def read(self, text: str) -> dict[str, Any]:
        """The values of fields that a text stands for.

        Raises:
            UsageError: It is no value of this option.
        """
        if isinstance(self.default, bool):
            if text.lower() not in _ON:
                raise UsageError(f"{text!r} is neither on nor off", "use on or off")
            return {self.field: _ON[text.lower()]}
        if self.option.read is not None:
            return dict(self.option.read(text))
        if str(self.kind).startswith("tuple["):
            parts = tuple(part.strip() for part in text.split(",") if part.strip())
            if not parts:
                raise _empty()
            return {self.field: tuple(map(whole_path, parts)) if self.option.is_source else parts}
        if self.option.is_source:
            return {self.field: whole_path(text)}
        return {self.field: _number(text, self.kind)}

    @property
    def help(self) -> str:
        """What it is for, in the words of the option."""
        words = self.option.help.rstrip(".")
        return words if self.option.flags or not self.option.off else f"off: {words}"

    def shown(self) -> str:
        """The default as text; "" where that depends, or is nothing."""
        if isinstance(self.default, bool):
            return "on" if self.default else "off"
        if self.default in (None, "", ()) or (self.of_preset and not self.default):
            return ""
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)


def _number(text: str, kind: Any) -> Any:
    words = str(kind) if not isinstance(kind, type) else kind.__name__
    try:
        if words.startswith("int"):
            return int(text)
        if words.startswith("float"):
            return float(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no number", f"use a {'whole ' if words.startswith('int') else ''}number"
        ) from None
    if not text.strip():
        raise _empty()
    return text


def _empty() -> UsageError:
    return UsageError("the value is empty", "`faceid config unset KEY` goes back to the default")


def kept_options() -> dict[str, Kept]:
    """All options that can be kept, by key: the option's name, or COMMAND.NAME where that has two meanings."""
    found: dict[str, Kept] = {}
    by_name: dict[str, dict[str, tuple[str, Option, Any, Any]]] = {}
    for command, order in ORDERS.items():
        for field, (asked, kind, default) in leaves(order).items():
            if asked.is_settable and (asked.flags or asked.off):
                name = asked.flags[0].removeprefix("--") if asked.flags else field.replace("_", "-")
                if name in _APART:
                    continue
                by_name.setdefault(name, {})[command] = (field, asked, kind, default)
    for name, meanings in by_name.items():
        alike = len({id(asked) for _, asked, _, _ in meanings.values()}) == 1
        for command, (field, asked, kind, default) in meanings.items():
            key = name if alike else f"{command}.{name}"
            orders = tuple(ORDERS[each] for each in meanings) if alike else (ORDERS[command],)
            found[key] = Kept(field, asked, kind, default, orders, field in leaves(TrainConfig) and command == "enroll")
    return found


OPTIONS = kept_options()


def key_of(text: str) -> str:
    """The key that a text means: as it is, with the command before it, or as the field is called.

    A name with two meanings is that of a rendering.
    """
    name = text.lower().removeprefix("--").replace("_", "-")
    for candidate in (name, f"generate.{name}"):
        if candidate in OPTIONS:
            return candidate
    command, dot, rest = name.partition(".")
    if dot and command in ORDERS and rest in OPTIONS and ORDERS[command] in OPTIONS[rest].orders:
        return rest
    fields = {each.field.replace("_", "-"): key for key, each in reversed(OPTIONS.items())}
    return fields.get(name, text)


def check_together(texts: Mapping[str, str]) -> None:
    """Check that all defaults can be an order together.

    Raises:
        UsageError: One cannot be, or two contradict each other.
    """
    for order in ORDERS.values():
        order.of(**_REQUIRED[order], **dict(_fields(order, texts)))


def with_defaults(
    order: type[Order],
    given: Mapping[str, Any],
    texts: Mapping[str, str],
    without: Collection[str] = (),
    on_note: OnNote | None = None,
) -> Order:
    """Make an order of what is said, and where nothing is said, of the user's own defaults.

    Args:
        order: The kind of order.
        given: What is said, by field names; None is nothing said. A whole group leaves nothing of it open.
        texts: The user's settings, those that are set.
        without: Options that this command has not.
        on_note: Told which of them stand in.

    Raises:
        UsageError: Options that cannot be; it says so if the user's defaults are to blame.
    """
    given = {name: value for name, value in given.items() if value is not None or name in _REQUIRED[order]}
    said = set(given)
    closed = set(without) | {leaf for name in said & set(order.groups) for leaf in leaves(order.groups[name])}
    if "method" in said:  # a preset that is named brings its own
        closed |= _OF_PRESETS
    if given.get("fast"):
        closed |= FAST.keys()
    values = _values(order, texts)
    used = [key for key in values if not (said | closed) & set(values[key])]
    mine = {name: value for key in used for name, value in values[key].items()}
    try:
        made = order.of(**{**given, **mine})
    except UsageError as error:
        if not mine or not _can_be(order, given):
            raise
        hint = f"{error.hint}; " if error.hint else ""
        blamed = f"{hint}a default of yours does not go with what was said: `faceid config list`"
        raise UsageError(error.message, blamed) from error
    if used and on_note:
        on_note(f"your own defaults: {', '.join(f'{key} {texts[key]}' for key in used)} (`faceid config list`)")
    return made


def set_fields(order: type[Options], texts: Mapping[str, str]) -> set[str]:
    """Names of the fields that the user's defaults speak of."""
    return {name for name, _ in _fields(order, texts)}


def _can_be(order: type[Options], given: Mapping[str, Any]) -> bool:
    try:
        order.of(**given)
    except UsageError:
        return False
    return True


def _fields(order: type[Options], texts: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for values in _values(order, texts).values():
        yield from values.items()


def _values(order: type[Options], texts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found = {}
    for key, text in texts.items():
        kept = OPTIONS.get(key)
        if kept is None or order not in kept.orders:
            continue
        try:
            found[key] = kept.read(text)
        except FaceIDError as error:
            raise UsageError(f"your default of {key}: {error.message}", f"faceid config unset {key}") from error
    return found

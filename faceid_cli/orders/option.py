"""What an option is, said once: its default, its help text, its check, and how the command line writes it.

A group of options is a frozen dataclass whose fields are made with `option`. From the fields come the command line's
options, the signatures of the Python functions, the commands that do something again, and what is recorded of it. A
group may hold other groups; seen from outside, all their options stand side by side, by the names of their fields.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_type_hints

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import check_text
from faceid_cli.orders.kinds import exact_types, fitted

_KEY = "option"


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        help: What it is for, as the command line and Python's `help` show it.
        flags: Its names on the command line, the first the usual one; none for what has no name of its own there.
        metavar: What stands for its value.
        choices: Words that completion offers.
        check: Takes a value and returns it as it is kept; raises UsageError for one that cannot be.
        accepts: The type of what the check takes, if that is another than the field's.
        kind: Its type on the command line, if that is another than the field's.
        read: From the value on the command line to the values of fields, by name; where that is more than one field.
        write: From the group back to the value on the command line; None for nothing to say.
        off: What the command line says for False, where it says something; without a flag, all that it says.
        former: A name that the command line still understands, and shows no more.
        is_source: Whether a value may be a file, with or without ":WORD" behind it: such are repeated with whole paths.
        is_repeated: Whether a command that does the same again says it.
        is_recorded: Whether the record of a training run keeps it as it was asked for.
        takes_any_path: Whether paths may hold bytes that are no UTF-8.
        is_settable: Whether the user may keep another default for it; not for what belongs to one picture or person.
        is_of_text: Whether it decides only how the prompt is encoded: pictures that differ in it can share a batch.
    """

    help: str
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[Any], Any] | None = None
    accepts: Any = None
    kind: Any = None
    read: Callable[[Any], Mapping[str, Any]] | None = None
    write: Callable[[Any], object] | None = None
    off: str = ""
    former: str = ""
    is_source: bool = False
    is_repeated: bool = True
    is_recorded: bool = True
    takes_any_path: bool = False
    is_settable: bool = True
    is_of_text: bool = False

    @property
    def opposite(self) -> str:
        """The word against a switch that the user's own defaults turn the other way round; "" for no switch."""
        if self.off:
            return "" if self.flags else self.off.replace("--no-", "--", 1)
        return self.flags[0].replace("--", "--no-", 1) if self.flags else ""


def option(default: Any, help: str, *flags: str, **more: Any) -> Any:
    """A field of a group, with its default; the rest as in `Option`."""
    return dataclasses.field(default=default, metadata={_KEY: Option(help, flags, **more)})


def required(help: str, **more: Any) -> Any:
    """The same for what has no default."""
    return dataclasses.field(metadata={_KEY: Option(help, **more)})


def group(kind: type[Options]) -> Any:
    """A field that holds another group; None stands for its defaults."""
    return dataclasses.field(default_factory=kind)


def option_of(field: dataclasses.Field[Any]) -> Option | None:
    """What a field says about itself; None for one that holds a group."""
    return field.metadata.get(_KEY)


@dataclass(frozen=True)
class Options:
    """The base of all groups: whoever makes one has every value checked."""

    groups: ClassVar[Mapping[str, type[Options]]] = {}
    """Fields that hold other groups."""
    is_preset: ClassVar[bool] = False
    """Whether what is left unsaid is as in a preset, and not the field's default."""

    def __post_init__(self) -> None:
        values = self.__dict__  # the class is frozen, and this is where its fields are
        for name, field in _checked_fields(type(self)).items():
            value = values[name]
            if type(value) in field.settled:
                continue
            if value is None and field.factory is not None:
                value = field.factory()
            values[name] = field.kept(value)

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Make a group, and the groups in it, from options by name; those of other groups may be given as groups, too.

        Raises:
            UsageError: An option of that name does not exist, or a value cannot be.
        """
        check_names(cls, given)
        for name, kind in cls.groups.items():
            own = {leaf: given.pop(leaf) for leaf in leaves(kind) if leaf in given}
            base = None if given.get(name) is None else fitted(name, kind, given[name])
            given[name] = kind.changed(base, own)
        return cls(**given)

    @classmethod
    def changed(cls, base: Self | None, given: Mapping[str, Any]) -> Self | None:
        """A group with other values for some of its options; None where nothing is said at all."""
        made = dataclasses.replace(base or cls(), **given)
        return base if made == (base or cls()) else made

    def check_unsaid(self, names: Collection[str], where: str) -> None:
        """Check that options are as usual where they mean nothing.

        Args:
            names: Of the options.
            where: What has no use for them.

        Raises:
            UsageError: One of them says something.
        """
        for field in fields(self):
            if field.name in names and getattr(self, field.name) != field.default:
                raise UsageError(f"{field.name} means nothing to {where}", "leave it out of the config")


_WITHOUT_TEXT = (int, float, type(None))


@dataclass(frozen=True)
class _Checked:
    """What is done to a field when a group is made.

    Attributes:
        name: Of the field.
        factory: Makes what None stands for; None where it stands for itself.
        kind: The type.
        exact: Types whose values are of it as they are.
        settled: Those of them of which nothing else is checked.
        where: What texts in it are called; "" where they may be any.
        check: The option's own.
    """

    name: str
    factory: Callable[[], Any] | None
    kind: Any
    exact: frozenset[type]
    settled: frozenset[type]
    where: str
    check: Callable[[Any], Any] | None

    def kept(self, value: Any) -> Any:
        """The value as it is kept; UsageError for one that cannot be."""
        if type(value) not in self.exact:
            value = fitted(self.name, self.kind, value)
        if self.where and not isinstance(value, _WITHOUT_TEXT):
            _check_texts(self.where, value)
        return value if self.check is None or value is None else self.check(value)


_CHECKED: dict[type[Options], dict[str, _Checked]] = {}  # groups are made often
_HINTS: dict[type[Options], dict[str, Any]] = {}  # they take long to read


def _checked_fields(group: type[Options]) -> dict[str, _Checked]:
    if group not in _CHECKED:
        hints = _hints(group)
        _CHECKED[group] = {field.name: _checked(field, hints[field.name]) for field in fields(group)}
    return _CHECKED[group]


def _checked(field: dataclasses.Field[Any], hint: Any) -> _Checked:
    asked = option_of(field)
    factory = None if field.default_factory is dataclasses.MISSING else field.default_factory
    where = "" if asked is None or asked.takes_any_path else asked.flags[0] if asked.flags else field.name
    kind, check = (hint, None) if asked is None else (asked.accepts or hint, asked.check)
    exact = exact_types(kind)
    settled = exact & ({types.NoneType} if check else {types.NoneType, bool, int, float})
    return _Checked(field.name, factory, kind, exact, settled, where, check)


def _hints(group: type[Options]) -> dict[str, Any]:
    if group not in _HINTS:
        _HINTS[group] = get_type_hints(group)
    return _HINTS[group]


Group = TypeVar("Group", bound=Options)
Leaf = tuple[Option, Any, Any]
_LEAVES: dict[type[Options], dict[str, Leaf]] = {}  # looked up often


def leaves(group: type[Options]) -> dict[str, Leaf]:
    """All options of a group and of those within it: (option, type, default) by field name."""
    if group not in _LEAVES:
        hints = _hints(group)
        found = _LEAVES[group] = {}
        for field in fields(group):
            if field.name in group.groups:
                found.update(leaves(group.groups[field.name]))
            elif (asked := option_of(field)) is not None:
                found[field.name] = (asked, hints[field.name], field.default)
    return _LEAVES[group]


def check_names(group: type[Options], given: Iterable[str]) -> None:
    """Check names of options and of groups within a group.

    Raises:
        UsageError: An option of that name does not exist.
    """
    names = set(leaves(group)) | set(group.groups)
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"options are: {', '.join(sorted(names))}"
            raise UsageError(f"there is no option {name!r}", hint)


def each_checked(group: type[Options], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name as a group keeps them, each by itself: what is to be said beside it may be said elsewhere.

    Raises:
        UsageError: An option of that name does not exist, or a value cannot be.
    """
    check_names(group, given)
    return {name: _checked_alone(group, name, value) for name, value in given.items()}


def _checked_alone(group: type[Options], name: str, value: Any) -> Any:
    for kind in group.groups.values():
        if name in leaves(kind):
            kind.changed(None, {name: value})  # which checks more than the value, such as steps above 0
            return _checked_alone(kind, name, value)
    return _checked_fields(group)[name].kept(value)


def parted(group: type[Options], options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options that were said, by name: those of a group, and all others."""
    said = {name: value for name, value in options.items() if value is not None}
    own = {name: value for name, value in said.items() if name in leaves(group)}
    return own, {name: value for name, value in said.items() if name not in own}


def _check_texts(where: str, value: object) -> None:
    for each in value if isinstance(value, tuple | list) else (value,):
        if isinstance(each, str | Path):
            check_text(where, str(each))

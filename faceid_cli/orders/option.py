"""What an option is, said once: its default, its help text, its check, and how the command line writes it.

A group of options is a frozen dataclass whose fields are made with `option`. From the fields come the command line's
options, the signatures of the Python functions, the commands that do something again, and what is recorded of it. A
group may hold other groups; seen from outside, all their options stand side by side, by the names of their fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_type_hints

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import check_text, user_path

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
        for name, factory, is_float, where, check in _checks(type(self)):
            value = values[name]
            if value is None and factory is not None:
                value = values[name] = factory()
            if where and not isinstance(value, _WITHOUT_TEXT):
                _check_texts(where, value)
            if is_float and type(value) is int:
                values[name] = float(value)
            if check is not None and value is not None:
                values[name] = check(value)

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Make a group, and the groups in it, from options by name; those of other groups may be given as groups, too.

        Raises:
            UsageError: An option of that name does not exist, or a value cannot be.
        """
        names = set(leaves(cls)) | set(cls.groups)
        for name in given:
            if name not in names:
                near = get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"options are: {', '.join(sorted(names))}"
                raise UsageError(f"there is no option {name!r}", hint)
        for name, kind in cls.groups.items():
            own = {leaf: given.pop(leaf) for leaf in leaves(kind) if leaf in given}
            given[name] = kind.changed(given.get(name), own)
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


_CHECKS: dict[type[Options], list[tuple[str, Any, bool, str, Any]]] = {}  # groups are made often, too


def _checks(group: type[Options]) -> list[tuple[str, Any, bool, str, Any]]:
    """What is done to each field when a group is made: name, factory, whether it is a float, flag of texts, check."""
    if group in _CHECKS:
        return _CHECKS[group]
    found: list[tuple[str, Any, bool, str, Any]] = []
    for field in fields(group):
        asked = option_of(field)
        factory = None if field.default_factory is dataclasses.MISSING else field.default_factory
        flag = "" if asked is None or asked.takes_any_path else asked.flags[0] if asked.flags else field.name
        check = None if asked is None else asked.check
        found.append((field.name, factory, isinstance(field.default, float), flag, check))
    _CHECKS[group] = found
    return found


Group = TypeVar("Group", bound=Options)
Leaf = tuple[Option, Any, Any]
_LEAVES: dict[type[Options], dict[str, Leaf]] = {}  # looked up often, and type hints take long to read


def leaves(group: type[Options]) -> dict[str, Leaf]:
    """All options of a group and of those within it: (option, type, default) by field name."""
    if group not in _LEAVES:
        hints = get_type_hints(group)
        found = _LEAVES[group] = {}
        for field in fields(group):
            if field.name in group.groups:
                found.update(leaves(group.groups[field.name]))
            elif (asked := option_of(field)) is not None:
                found[field.name] = (asked, hints[field.name], field.default)
    return _LEAVES[group]


def parted(group: type[Options], options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options that were said, by name: those of a group, and all others."""
    said = {name: value for name, value in options.items() if value is not None}
    own = {name: value for name, value in said.items() if name in leaves(group)}
    return own, {name: value for name, value in said.items() if name not in own}


def words(
    group: Options, usual: Options | None = None, without: Sequence[str] = (), always: Collection[str] = ()
) -> Iterator[str]:
    """What the command line says for a group, option by option; nothing for what is as usual.

    Args:
        group: The options.
        usual: What nothing needs to be said for; the defaults if None.
        without: Names of options that are said elsewhere.
        always: Names of options that are said even if they are as usual.
    """
    for field in fields(group):
        value, asked = getattr(group, field.name), option_of(field)
        if field.name in without:
            continue
        if isinstance(value, Options):
            yield from words(value, without=without, always=always)
            continue
        if asked is None or not (asked.flags or asked.off) or not asked.is_repeated:
            continue
        if asked.write is not None:
            value = asked.write(group)
        if field.name in always:
            yield from _said(asked, value) or _said_against(asked, value)
            continue
        if value == (field.default if usual is None or asked.write is not None else getattr(usual, field.name)):
            continue
        yield from _said(asked, value)


def said(flag: str, value: object) -> list[str]:
    """An option with its value; with "=" where the value itself looks like one. Nothing for no value."""
    text = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    if value is None or not text:
        return []
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def whole_path(source: str) -> str:
    """FILE, or FILE:WORD, with its whole path; names and hub ids stay as they are."""
    file, colon, word = source, "", ""
    if not user_path(source).exists():
        file, colon, word = source.rpartition(":")
    path = user_path(file)
    return f"{path.absolute()}{colon}{word}" if file and path.exists() else source


def _check_texts(where: str, value: object) -> None:
    for each in value if isinstance(value, tuple | list) else (value,):
        if isinstance(each, str | Path):
            check_text(where, str(each))


def _said_against(asked: Option, value: Any) -> list[str]:
    return [asked.opposite] if isinstance(value, bool) and asked.opposite else []


def _said(asked: Option, value: Any) -> list[str]:
    return list(_words_of(asked, value))


def _words_of(asked: Option, value: Any) -> Iterator[str]:
    flag = asked.flags[0] if asked.flags else ""
    if isinstance(value, bool):
        if word := flag if value else asked.off:
            yield word
    elif isinstance(value, tuple) and asked.kind is None:  # said again and again
        for each in value:
            yield from said(flag, whole_path(each) if asked.is_source else each)
    elif isinstance(value, tuple):
        yield from (flag, *(whole_path(each) if asked.is_source else each for each in value))
    elif isinstance(value, Path):
        yield from said(flag, user_path(value).absolute())
    else:
        yield from said(flag, whole_path(value) if asked.is_source and isinstance(value, str) else value)

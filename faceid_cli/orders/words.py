"""What the command line says for options: the way back from a group to the words of a command."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from faceid_cli.orders.checks import user_path
from faceid_cli.orders.option import Option, Options, option_of


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

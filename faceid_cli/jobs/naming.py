"""Names of files by template: "{name}/{index:05d}-{seed}-{slug}.png"."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.kept.remote import is_remote, local_path, remote_path, shown_path, whole_path
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.checks import check_output, user_path
from faceid_cli.orders.option import leaves
from faceid_cli.orders.rendering import SUFFIXES, other_format

DEFAULT = "{index:05d}-{name}-{seed}{suffix}"
_OWN = {"name": "alice", "index": 1, "seed": 1, "slug": "a-castle", "line": 1, "suffix": ".png"}
_SLUG_LETTERS = 40
_ODD = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True)
class Template:
    """Where pictures go, with fields to be filled in: those of `_OWN`, and every option of a picture.

    Attributes:
        folder: What is taken as it stands, and exists or has no fields.
        text: The rest, with fields; ends in one of SUFFIXES, or in {suffix}.
    """

    folder: Path
    text: str

    @property
    def root(self) -> Path:
        """The folder above everything that is filled in."""
        before = self.text.partition("{")[0]
        return self.folder / before.rpartition("/")[0] if "/" in before else self.folder

    @property
    def whole(self) -> str:
        """The template from the root on, as `template_of` reads it."""
        text = Path(self.text)
        if text.is_absolute() or is_remote(text):
            return shown_path(text)
        return f"{literal(shown_path(whole_path(self.folder)))}/{self.text}"

    def path(self, values: Mapping[str, Any]) -> Path:
        """The file's name for one picture.

        Raises:
            UsageError: A value that the template cannot take.
        """
        try:
            asked = {name: _plain(value) for name, value in values.items() if name in _words_of(self.text)}
            filled = _Fill().vformat(self.text, (), asked)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"the name {self.text!r} cannot be filled in: {error}") from error
        return self.folder / filled


def template_of(output: Path | str) -> Template:
    """Read a folder, a file name, or a template of them.

    Raises:
        UsageError: An unknown field, or one that cannot be formatted so; a file of another format.
    """
    text = local_path(output)
    elsewhere = remote_path(text)
    whole = user_path(text) if elsewhere is None else elsewhere
    if os.path.isdir(whole):  # unlike Path's, of a name that is too long it says no
        return Template(whole, DEFAULT)
    if "{" not in text and "}" not in text:
        if elsewhere is None:
            check_output(whole)
        if whole.suffix and whole.suffix.lower() not in SUFFIXES:
            raise other_format(shown_path(whole))
        return Template(whole.parent, literal(whole.name)) if whole.suffix else Template(whole, DEFAULT)
    _check_fields(text)
    is_file = text.lower().endswith((*SUFFIXES, "{suffix}"))
    if not is_file and re.search(r"\.[A-Za-z]{2,4}$", text):
        raise other_format(shown_path(whole))
    return Template(Path(), str(whole) if is_file else f"{str(whole).rstrip('/')}/{DEFAULT}")


def slug_of(prompt: str) -> str:
    """The words of a prompt as part of a file name; "picture" where it has none."""
    bare = re.sub(r"<[^<>]*>|\{[^{}]*\}", " ", prompt).lower()
    words = re.sub(r"[\W_]+", "-", bare).strip("-")
    cut = words[:_SLUG_LETTERS].encode()[: 2 * _SLUG_LETTERS].decode(errors="ignore")
    return cut.strip("-") or "picture"


@lru_cache(maxsize=256)
def _words_of(text: str) -> frozenset[str]:
    """What may be filled into a template: of many pictures all else would be made ready for nothing."""
    return frozenset(re.findall(r"[A-Za-z_]\w*", text))


class _Fill(Formatter):
    """Fills in plain names alone: nothing behind a dot or in brackets, which would reach into objects."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if field_name not in kwargs:
            raise UsageError(
                f"nothing is filled in for {{{field_name}}}",
                f"fields are {', '.join(_OWN)}, and options such as steps and guidance_scale",
            )
        return kwargs[field_name], field_name


class _Text(str):
    """A value that may not be there: it takes formats of numbers, and stays as it is."""

    def __format__(self, spec: str) -> str:
        return str(self)


def _check_fields(text: str) -> None:
    sample: dict[str, Any] = {name: default for name, (_, _, default) in leaves(RenderOrder).items()}
    sample = {name: _plain(value) for name, value in sample.items()} | _OWN
    try:
        _Fill().vformat(text, (), sample)
    except (ValueError, TypeError, IndexError) as error:
        raise UsageError(f"the name {text!r} cannot be read: {error}", "such as {index:05d}-{seed}.png") from error


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return _Text(value)
    if isinstance(value, float) and value == int(value):
        return _Whole(value)
    if isinstance(value, int | float):
        return value
    parts = value if isinstance(value, tuple | list) else (value,)
    return _Text(_ODD.sub("-", "+".join(Path(str(part)).name for part in parts)).strip("-") or "none")


class _Whole(float):
    """A number such as 5.0, which is written as 5 where nothing else is asked for."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec or "g")


def literal(text: str) -> str:
    """A text as a template in which nothing is filled in."""
    return text.replace("{", "{{").replace("}", "}}")

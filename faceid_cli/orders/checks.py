"""Checks of options: each takes a value and returns it as it is kept, or raises UsageError."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faceid_cli.errors import UsageError

MAX_SEED = 2**32 - 1
DEVICES = ("auto", "cpu", "cuda", "mps")
FACES = ("auto", "only", "largest", "left", "right")
"""Words for one of several faces; a number counts them from the left."""
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
Check = Callable[[Any], Any]


_FILLED_IN = re.compile(
    r"\{[^{}/]*\}"  # {seed}
    r"|%0\d*[dis]|%\d*[dis](?![A-Za-z0-9])|%\(\w+\)"  # %03d, %(seed)d
    r"|%[YymdHMSjf](?![A-Za-z0-9])|%[A-Za-z][\w.:-]*%"  # %Y-%m-%d, %seed%
    r"|\[(?:seed|steps|cfg|sampler|prompt|date|datetime|time|width|height|model|name|number|index|n)\b[^\]/]*\]"
    r"|<[^<>/]+>|\$\w+|\$\{\w+\}|\*|#{2,}"  # <seed>, $seed, *, ####
)
"""What other programs, and shells without quotes, fill in."""
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+]+:/")  # s3://bucket, of which a path makes s3:/bucket
_BETWEEN_LETTERS = " -'\u2019"
_LISTS = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".md", ".list")


def check_prompt(prompt: str) -> str:
    """Return a prompt that can be meant: one that names a file or a pipe full of prompts would be drawn as it stands.

    Raises:
        UsageError: "-", "@prompts.txt", or a file of text.
    """
    said = prompt.strip()
    bare = said.removeprefix("@")
    is_file = bare.lower().endswith(_LISTS) and ("@" in said[:1] or " " not in said)
    if said in ("-", "/dev/stdin") or re.fullmatch(r"@\S*", said) or is_file:
        raise UsageError(
            f"the prompt is {prompt!r}: a prompt is written out; a file or pipe of prompts is given in another way",
            "faceid generate NAME --prompts FILE (- for a pipe), or faceid batch FILE",
        )
    return prompt


def check_output(path: Path | str) -> Path:
    """Return a path that can be meant for what is to be written.

    Raises:
        UsageError: "-", or a part that does not exist and holds what other programs fill in, such as "x-{seed}.png".
    """
    target = Path(path)
    if str(target) == "-":
        raise UsageError(
            "cannot write to -: pictures and other files do not go to standard output", "give a file or a folder"
        )
    if _ELSEWHERE.match(str(path)):
        raise UsageError(
            f"cannot write to {path} here: only pictures of many go to other places than folders",
            "faceid batch, or faceid generate with --prompts or --seeds",
        )
    whole = os.path.expanduser(target)
    if whole.startswith("~"):
        raise UsageError(f"cannot write to {target}: there is no user {target.parts[0][1:]!r}", "give the whole path")
    missing = [part.name for part in (Path(whole), *Path(whole).parents) if not os.path.exists(part)]
    for name in reversed(missing):
        if filled := _FILLED_IN.search(name):
            raise UsageError(
                f"cannot write to {target}: nothing is filled in for {filled[0]!r}",
                "give a plain name: several pictures are numbered by themselves, as x-1.png, x-2.png",
            )
    return target


def user_path(text: Path | str) -> Path:
    """Return a path with "~" as the user's folder; where there is no such user it stays, and nothing is found there."""
    return Path(os.path.expanduser(text))


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8. Bytes of a command line or a file name that are no text cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown_text(value: str) -> str:
    """The same where it is text; bytes that are none as people write them: caf\\xe9."""
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair of code points, which stands for nothing at all
        return value.encode("utf-8", "backslashreplace").decode()


def check_text(where: str, value: str) -> str:
    """Return what can be kept in files and in the registry, and drawn.

    Args:
        where: Where it stands, for the message.
        value: A prompt, a name, a note, a path.

    Raises:
        UsageError: It holds bytes that are no UTF-8.
    """
    if not is_text(value):
        raise UsageError(
            f"{where}: '{shown_text(value)}' is not UTF-8",
            "save the list, or name the file, as UTF-8, such as with: iconv -f LATIN1 -t UTF-8 LIST",
        )
    return value


def check_class_word(value: str) -> str:
    """Return a class word without spaces around it.

    In sentences, brackets would be read as weights, and `<name>` as a person.

    Raises:
        UsageError: It is empty, or holds more than letters, digits, spaces, hyphens and apostrophes.
    """
    word = " ".join(value.split())
    hint = "use a word such as person, woman or man"
    if not word:
        raise UsageError("the class word is empty", hint)
    if not all(_is_plain(letter) for letter in word) or not any(letter.isalnum() for letter in word):
        raise UsageError(f"the class word {value!r} is not a plain word", f"{hint}, or a few such as old man")
    return word


def _is_plain(letter: str) -> bool:
    """Whether a character stands in words of some script: accents that are characters of their own do, too."""
    kind = unicodedata.category(letter)
    return kind[0] in "LM" or kind == "Nd" or letter in _BETWEEN_LETTERS


def check_seed(seed: int) -> int:
    """Return the seed if it is one that every random generator here accepts.

    Raises:
        UsageError: Below 0 or above 2**32 - 1.
    """
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed is {seed}", f"use a number from 0 to {MAX_SEED}")
    return seed


def check_device(value: str) -> str:
    """Return a device of a kind that exists: auto, cpu, cuda, cuda:1, mps."""
    kind, _, number = value.partition(":")
    if kind not in DEVICES or (number and not number.isdecimal()):
        raise UsageError(f"unknown device {value!r}", "use auto, cpu, cuda, cuda:1 or mps")
    return value


def least_likeness(text: str) -> tuple[float, bool]:
    """Read "0.5" or "70%" as (number, whether it is in percent).

    Raises:
        UsageError: Neither a similarity from -1 to 1 nor a percentage.
    """
    bare = text.strip().removesuffix("%")
    in_percent = bare != text.strip()
    try:
        value = float(bare)
    except ValueError:
        value = float("nan")
    if not (-100 if in_percent else -1) <= value <= (200 if in_percent else 1):
        raise UsageError(f"the least likeness is {text!r}", "use a similarity such as 0.5, or percent such as 70%")
    return value, in_percent


def check_least_likeness(value: str | float) -> str:
    """Return a least likeness as text; raises as `least_likeness`."""
    text = f"{value:g}" if isinstance(value, int | float) else value
    least_likeness(text)
    return text


def one_of(name: str, choices: Sequence[str]) -> Check:
    """A check that a value is one of the choices."""

    def check(value: str) -> str:
        if value not in choices:
            raise UsageError(f"unknown {name} {value!r}", f"choose one of: {', '.join(choices)}")
        return value

    return check


def at_least(name: str, least: int, hint: str = "") -> Check:
    """A check that a whole number is not too small; with a hint for what is usual, also that it is no more than 1000.

    That is how many timesteps there are.
    """

    def check(value: int) -> int:
        if value < least:
            raise UsageError(f"{name} must be {least} or more, not {value}")
        if hint and value > 1000:
            raise UsageError(f"{name} is {value}, but there are only 1000 timesteps", hint)
        return value

    return check


def within(message: str, low: float, high: float, hint: str, above: bool = False) -> Check:
    """A check that a number lies between two others, both included; the lower one not where it has to be `above`.

    Args:
        message: Of the error, with {} for the number.
        low: The lower one.
        high: The higher one.
        hint: Of the error.
        above: See above.
    """

    def check(value: float) -> float:
        if not low <= value <= high or (above and value == low):
            raise UsageError(message.format(value), hint)
        return value

    return check


def not_negative(name: str) -> Check:
    """A check that a number is one from 0 on: not below it, not infinite, and no NaN."""
    return within(f"{name} is {{}}", 0, 1e300, "use an ordinary number, 0 or more")

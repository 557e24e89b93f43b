"""Weights in prompts, read as AUTOMATIC1111's web UI reads them.

`(words:1.3)` counts 1.3 times, `(words)` 1.1 times, `[words]` 1/1.1 times; brackets in brackets multiply; `\\(` is a
bracket as text. What is written nearly so, or for another program, is refused: it would be drawn as words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import check_prompt

MOST = 3.0
"""The largest weight; beyond it pictures break."""

_BRACKET = 1.1
_TOKEN = re.compile(r"\\[()\[\]\\]|\\|\(|\[|:\s*(?P<weight>[+-]?[.\d]+)\s*\)|\)|]|[^\\()\[\]:]+|:")
_ESCAPE_HINT = r"write \( and \) where brackets are text"
_A_NUMBER = re.compile(r":\s*(?:[+-]?[.\d][\d.,eE+%-]*|[+-]?(?:nan|inf|infinity))?\s*$", re.IGNORECASE)
_A_DECIMAL = re.compile(r":\s*[+-]?\d*\.\d+")
_INNER = re.compile(r"\([^()]*\)")
_SMILEYS = ":;=8-'^"
_SCHEDULE = re.compile(r":\s*[.\d]+\s*$")

# What other programs read as something else than words: how it looks, what it is, what to do instead.
_FOREIGN = (
    (r"<[^<>]*:[^<>]*>", "it loads a network elsewhere", "give files of LoRA adapters with --lora FILE[:SCALE]"),
    (r"\bembedding:\S+", "it loads an embedding elsewhere", "give --embedding FILE:WORD, and write <WORD>"),
    (r"(?<!\\)\)\d*\.\d+", "it is a weight elsewhere", "write weights as (words:1.3)"),
    (r"(?<=[^\\]\))(?:\++|-+)(?=[\s,.;]|$)", "it is a weight elsewhere", "write weights as (words:1.3)"),
    (r"\S*::\s*[+-]?[.\d]+", "it is a weight elsewhere", "write weights as (words:1.3)"),
    (
        "[:\uff1a]\\s*[.\\d]+\\s*\uff09|\uff1a\\s*[.\\d]+\\s*\\)",
        "its brackets or colon are wide ones",
        "write weights as (words:1.3)",
    ),
    (r"\bBREAK\b", "it begins a new prompt elsewhere", "write a comma"),
)


def weighted_parts(prompt: str) -> tuple[tuple[str, float], ...]:
    """Cut a prompt into parts with weights; neighbours of equal weight are one part.

    Args:
        prompt: With or without marked people.

    Returns:
        (text without the brackets of weights, weight from 0 to `MOST`), at least one.

    Raises:
        UsageError: A weight that is none, or is out of range; what only another program understands.
    """
    _refuse_foreign(prompt)
    parts = _merged(_Reader(prompt).parts)
    for text, weight in parts:
        if not 0 <= weight <= MOST:
            raise UsageError(f"the prompt gives {text.strip()!r} the weight {weight:g}", _range_hint(prompt))
    return parts


def plain_text(prompt: str) -> str:
    """The prompt's words without weights and their brackets."""
    return "".join(text for text, _ in weighted_parts(prompt))


def check_weights(prompt: str) -> str:
    """Return a prompt whose weights can be read. Raises as `weighted_parts`."""
    weighted_parts(prompt)
    return prompt


def check_negative(prompt: str) -> str:
    """The same for a negative prompt, in which nobody is marked.

    Raises:
        UsageError: Also for braces, and for `__file__`.
    """
    found = re.search(r"\{[^{}]*\}|__[\w*/.-]+__", prompt)
    if found:
        hint = "write (words:1.3) for weights" if "{" in found.group() else "only a prompt stands for several"
        raise UsageError(f"{found.group()!r} means nothing in a negative prompt", hint)
    return check_weights(check_prompt(prompt))


def doubtful_weights(prompt: str) -> Iterator[str]:
    """Notes on what is read as a weight and may have been meant as a time or a shape, as in `(photo, 4:3)`."""
    for found in re.finditer(r"(?<!\\)\(([^()]*?\d):\s*(\d{1,2})\)", prompt):
        text, weight = found.group(1), int(found.group(2))
        yield f"{found.group()} gives {text!r} the weight {weight}; as text it is written with \\( and \\)"
    for found in re.finditer(r"(?<![^\s,;])[^\s()\[\]:]+:\d*\.\d+(?![\d.]*\s*\))", prompt):
        yield f"{found.group()} is read as words; a weight needs brackets: ({found.group()})"


class _Reader:
    """Reads a prompt from left to right.

    Attributes:
        parts: [text, weight] each, in order.
    """

    def __init__(self, prompt: str) -> None:
        self.parts: list[tuple[str, float]] = []
        self._prompt = prompt
        self._closed = False
        self._round: list[tuple[int, int]] = []  # of brackets that are open: parts before it, where its content begins
        self._square: list[tuple[int, int]] = []
        for token in _TOKEN.finditer(prompt):
            self._read(token)
        self._close_open_ones()

    def _read(self, token: re.Match[str]) -> None:
        text, weight = token.group(), token.group("weight")
        if text == "(":
            self._round.append((len(self.parts), token.end()))
        elif text == "[":
            self._square.append((len(self.parts), token.end()))
        elif weight is not None:
            self._close_with(weight, token)
        elif text == ")" and self._round:
            parts, start = self._round.pop()
            self._check_plain(start, token.start())
            self._multiply(parts, _BRACKET)
        elif text == "]" and self._square:
            parts, start = self._square.pop()
            self._check_square(start, token.start())
            self._multiply(parts, 1 / _BRACKET)
        else:
            if text in (")", "]") and self._closed and self._prompt[token.start() - 1] not in _SMILEYS:
                raise UsageError(f"the prompt has a {text} too many", _ESCAPE_HINT)
            self.parts.append((text[1:] if text.startswith("\\") else text, 1.0))

    def _close_with(self, weight: str, token: re.Match[str]) -> None:
        if not self._round:
            raise UsageError(f"the prompt has a weight without an opening bracket: {token.group()!r}", _ESCAPE_HINT)
        parts, start = self._round.pop()
        self._check_inside(start, token.start())
        try:
            self._multiply(parts, float(weight))
        except ValueError as error:
            raise UsageError(f"{weight!r} in the prompt is not a weight", "write weights as (words:1.3)") from error

    def _check_plain(self, start: int, end: int) -> None:
        """Check a round bracket without a weight for something that was to be one."""
        inside = self._prompt[start:end]
        if _A_NUMBER.search(inside):
            raise UsageError(
                f"({inside}) in the prompt has no weight that can be read",
                f"write weights as (words:1.3); {_ESCAPE_HINT}",
            )
        self._check_inside(start, end)

    def _check_inside(self, start: int, end: int) -> None:
        """Check that no other weight stands in a bracket, as in (cat:1.2, dog:1.3)."""
        inside = self._prompt[start:end]
        if _A_DECIMAL.search(_without_inner(inside)):
            raise UsageError(
                f"a weight in the prompt does not stand at the end of its bracket: ({inside}...",
                "write one weight in each bracket: (cat:1.2), (dog:1.3)",
            )

    def _check_square(self, start: int, end: int) -> None:
        inside = self._prompt[start:end]
        if "|" in inside or _SCHEDULE.search(inside):
            raise UsageError(
                f"[{inside}] in the prompt changes the prompt from step to step elsewhere, and cannot here",
                r"leave it out, or write \[ and \] where brackets are text",
            )

    def _close_open_ones(self) -> None:
        for parts, start in self._round:
            inside = self._prompt[start:]
            if re.search(r":\s*[+-]?\d*\.?\d+(?!\S*:)", _without_inner(inside)):
                raise UsageError(f"the prompt has a bracket that is not closed: ({inside}", _ESCAPE_HINT)
            self._multiply(parts, _BRACKET)
        for parts, start in self._square:
            self._check_square(start, len(self._prompt))
            self._multiply(parts, 1 / _BRACKET)

    def _multiply(self, start: int, factor: float) -> None:
        self._closed = True
        self.parts[start:] = [(text, weight * factor) for text, weight in self.parts[start:]]


def _without_inner(text: str) -> str:
    """A bracket's own text, without that of brackets in it."""
    removed = 1
    while removed:
        text, removed = _INNER.subn("", text)
    return text


def _merged(parts: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    merged: list[tuple[str, float]] = []
    for text, weight in parts:
        if merged and merged[-1][1] == weight:
            merged[-1] = (merged[-1][0] + text, weight)
        else:
            merged.append((text, weight))
    return tuple(merged) or (("", 1.0),)


def _refuse_foreign(prompt: str) -> None:
    for pattern, meaning, hint in _FOREIGN:
        found = re.search(pattern, prompt)
        # In a prompt in capitals a word in capitals is only that.
        if found and not (found.group().isalpha() and prompt.isupper()):
            raise UsageError(f"{found.group().strip()!r} in the prompt would be read as words: {meaning}", hint)


def _range_hint(prompt: str) -> str:
    escaped = re.sub(r"(?<!\\)([()])", r"\\\1", prompt)
    return f"weights are 0 to {MOST:g}; where brackets are text write {escaped}"

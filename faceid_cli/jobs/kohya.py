"""Options at the end of a prompt, as kohya's scripts write them: "a castle --n blurry --w 512 --d 1 --s 30 --l 7"."""

from __future__ import annotations

import re
from typing import Any

from faceid_cli.jobs.rows import FieldError

_SUFFIXES = {
    "n": "negative_prompt",
    "w": "width",
    "h": "height",
    "d": "seed",
    "s": "steps",
    "l": "guidance_scale",
}
_SUFFIX = re.compile(r"(?:^|\s)--([A-Za-z]+)(?=\s|$)")


def read_line(line: str) -> dict[str, Any]:
    """A prompt of a text file as columns.

    Raises:
        FieldError: A suffix that means nothing here, has no value, or is there twice.
    """
    marks = list(_SUFFIX.finditer(line))
    if not marks:
        return {"prompt": line.strip()}
    found = {"prompt": line[: marks[0].start()].strip()}
    ends = [*(mark.start() for mark in marks[1:]), len(line)]
    for mark, end in zip(marks, ends, strict=True):
        name, value = mark.group(1), line[mark.end() : end].strip()
        if name not in _SUFFIXES:
            known = ", ".join(f"--{each}" for each in _SUFFIXES)
            raise FieldError(f"--{name}", "means nothing in a file of prompts", f"{known} do; CSV has all options")
        if not value:
            raise FieldError(f"--{name}", "has no value", "leave it out, or give one")
        if _SUFFIXES[name] in found:
            raise FieldError(f"--{name}", "is there twice", "leave out one of them")
        found[_SUFFIXES[name]] = value
    return found

"""What a picture is known by: a hash of all that was asked for, so that nothing is rendered twice."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from faceid_cli.orders import ModelOptions, RenderOrder
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.option import leaves
from faceid_cli.orders.sampling import USUAL

_OF_THE_MACHINE = ("device", "low_vram")
"""A batch that was begun on one machine goes on on another."""
_COUNTING = ("auto", "format", "min_likeness")
"""What makes another picture, though a command that repeats it does not say it."""
_NO_OPTIONS = ModelOptions()
_SAID_APART = ("names", "prompt", "model", "variant", "vae", "loras")


def request_of(
    order: RenderOrder,
    prompt: str,
    people: Sequence[str],
    fingerprint: str,
    loading: Mapping[str, Any],
    seed: int | None,
    number: int = 0,
) -> str:
    """The hash of one picture's request: 32 hexadecimal digits. Options at their defaults do not count, and the
    sampler that is usual.

    Args:
        order: The order; seed, count and output are not looked at.
        prompt: Normalised, people as `<name>`.
        people: Digests of their tokens, in order.
        fingerprint: Of the base model's weights.
        loading: What was put into it, with digests of files.
        seed: Of the picture; None for one that nobody asked for.
        number: Which of several pictures with the same request it is.
    """
    values = {**vars(order.options or _NO_OPTIONS), **vars(order.config), **vars(order)}
    said = {name: _told(value) for name, default in _counting().items() if (value := values[name]) != default}
    files = {name: _digest(path) for name, path in order.files.items()}
    words = [_digest(user_path(text.partition(":")[0])) for text in order.embeddings]
    request = [prompt, list(people), fingerprint, dict(loading), said, files, words, seed, number]
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:32]


def rejected(request: str, attempt: int) -> str:
    """The hash of a picture that was made for a request and was not like the person."""
    return f"{request}-{attempt}"


@cache
def _counting() -> dict[str, Any]:
    """Options that count, with what is usual."""
    return {
        name: USUAL.get(name, default)
        for name, (asked, _, default) in leaves(RenderOrder).items()
        if (asked.is_repeated or name in _COUNTING) and name not in (*_OF_THE_MACHINE, *_SAID_APART)
    }


def _told(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_told(each) for each in value]
    return value.name if isinstance(value, Path) else value


def _digest(path: Path) -> str:
    """Of a file's content; what is no file, or cannot be read, is refused later, where it is used."""
    try:
        state = path.stat()
        return _digest_of(path, state.st_mtime_ns, state.st_size) if stat.S_ISREG(state.st_mode) else str(path)
    except OSError:
        return str(path)


@lru_cache(maxsize=256)
def _digest_of(path: Path, changed: int, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

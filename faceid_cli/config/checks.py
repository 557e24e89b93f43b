"""Checks that training's and rendering's settings share."""

from __future__ import annotations

from faceid_cli.errors import UsageError

MAX_SEED = 2**32 - 1
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def check_seed(seed: int) -> int:
    """Return the seed if it is one that every random generator here accepts.

    Raises:
        UsageError: Below 0 or above 2**32 - 1.
    """
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed is {seed}", f"use a number from 0 to {MAX_SEED}")
    return seed


def check_precision(precision: str) -> None:
    """Raise UsageError for an unknown precision."""
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}", f"choose one of: {', '.join(PRECISIONS)}")


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise UsageError for a value that is none of the choices."""
    if value not in choices:
        raise UsageError(f"unknown {name} {value!r}", f"choose one of: {', '.join(choices)}")


def at_least(name: str, value: int, least: int) -> None:
    """Raise UsageError for a number that is too small."""
    if value < least:
        raise UsageError(f"{name} must be {least} or more, not {value}")


def not_negative(name: str, value: float) -> None:
    """Raise UsageError for what is not a number from 0 on: below it, infinite, or no number at all."""
    if not 0 <= value < float("inf"):
        raise UsageError(f"{name} is {value}", "use an ordinary number, 0 or more")

"""Invented first names, one a person of the roster; each is one token of the built-in text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from faceid_cli.builtin.vocabulary import ROSTER_SIZE

_ONSETS = (*"bdfghjklmnprstvwyz", "sh", "th", "br", "kr", "tr")
_VOWELS = ["a", "e", "i", "o", "u"]
_CODAS = ["", "", "", "l", "m", "n", "r", "s", "x"]


@cache
def roster() -> tuple[str, ...]:
    """ROSTER_SIZE different names; the person called `roster()[n]` is `person_from_seed(n)`."""
    rng = np.random.default_rng([0xAD, 1])

    def one_of(parts: Sequence[str]) -> str:
        """What `rng.choice` draws, which takes longer and drops the KeyboardInterrupt of a Ctrl-C."""
        return parts[int(rng.integers(len(parts)))]

    names: dict[str, None] = {}
    while len(names) < ROSTER_SIZE:
        syllables = 2 if rng.random() < 0.6 else 3
        name = "".join(one_of(_ONSETS) + one_of(_VOWELS) for _ in range(syllables)) + one_of(_CODAS)
        if len(name) >= 5:
            names[name] = None
    return tuple(names)

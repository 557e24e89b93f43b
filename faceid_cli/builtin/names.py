"""Invented first names, one a person of the roster; each is one token of the built-in text encoder."""

from __future__ import annotations

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
    names: dict[str, None] = {}
    while len(names) < ROSTER_SIZE:
        syllables = int(rng.choice([2, 3], p=[0.6, 0.4]))
        name = "".join(str(rng.choice(_ONSETS)) + str(rng.choice(_VOWELS)) for _ in range(syllables)) + str(
            rng.choice(_CODAS)
        )
        if len(name) >= 5:
            names[name] = None
    return tuple(names)

"""The words that the built-in model has seen: all others are spelt to it in pieces, and it draws nothing for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from faceid_cli.builtin.names import roster
from faceid_cli.builtin.vocabulary import (
    ALL_SCENES,
    ATTRIBUTES,
    COLORS,
    GARMENTS,
    LIGHTS,
    OBJECTS,
)

_SEEN = """
a among an and apple as at background bald ball balloon basketball beach bear beard behind black blond blue board
book boy brick brown by cactus cap carrying castle cat chess child city close closed coffee couple cream crowded
crown cup day desert dim drawing dress eiffel eyes face fish flower flowers forest freckles friends front full
garden girl glasses green guitar guy hair head headphones her his holding hoodie ice illustration in kitchen lady
library light living look looking man moon moonlight mountains mouth near night of old on open orange outer
painting paris people person persons photo picture pink pizza plain playing portrait purple pyramids red room sea
shelves shirt sitting slice smile smiling snow snowman soccer some space stadium standing street striped style
suit sunglasses sunny sunset sweater t teddy the three tower trees two under underwater up very wall water wearing
white with woman yellow young
"""
WORDS = frozenset(_SEEN.split())
"""Of the captions that it was trained with, beside the names of `names.roster`."""

DRAWS: dict[str, Sequence[str]] = {
    "scenes": ALL_SCENES,
    "things": OBJECTS,
    "looks": ATTRIBUTES,
    "clothes": GARMENTS,
    "colours": tuple(COLORS),
    "lights": tuple(light for light in LIGHTS if set(light.split()) <= WORDS),  # daylight goes without saying
}
"""What it can draw, by kind."""

_MARK = re.compile(r"<[^<>]*>|\{[^{}]*\}")
_WORD = re.compile(r"[^\W\d_]+")


def unknown_words(prompt: str) -> tuple[str, ...]:
    """The words of a prompt that the model has never seen, each once, in order; people's marks are none.

    Args:
        prompt: Without weights and their brackets.
    """
    words = dict.fromkeys(_WORD.findall(_MARK.sub(" ", prompt).lower()))
    return tuple(word for word in words if word not in WORDS and word not in _names())


@cache
def _names() -> frozenset[str]:
    return frozenset(roster())

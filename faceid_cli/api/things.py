"""People and things: the method needs no face, but some of what surrounds it looks for one."""

from __future__ import annotations

import re

from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

_PEOPLE_WORDS = (
    "person people human humans man men woman women boy boys girl girls child children kid kids baby toddler "
    "teenager teen adult guy lady gentleman male female mother father mom dad parent sister brother daughter son "
    "grandmother grandfather grandma grandpa wife husband bride groom friend face portrait head character"
)


def is_people_word(class_word: str) -> bool:
    """Whether a class word speaks of people, who have a face: "woman", "old man"; not "cat", "sports car"."""
    return bool(set(_PEOPLE_WORDS.split()) & set(re.findall(r"[a-z]+", class_word.lower())))


def templates_for(class_word: str | None, detect: bool) -> str | None:
    """The training sentences that fit: those of the whole for a thing without a face; None for the preset's.

    Args:
        class_word: As it was given; None for the preset's, which speaks of people.
        detect: Whether faces are looked for.
    """
    return None if detect or class_word is None or is_people_word(class_word) else "photo"


def is_thing(identity: Identity) -> bool:
    """Whether somebody was learned as a thing: no face was looked for, and the class word speaks of no people.

    Of an identity that was learned elsewhere, the class word alone tells.
    """
    if is_people_word(identity.class_word):
        return False
    with Registry.open(create=False) as registry:
        runs = registry.runs_of(identity.name)
    request = runs[-1].run.settings.get("request") if runs else None
    return not isinstance(request, dict) or request.get("detect") is False

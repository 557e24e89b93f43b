"""Snapshots of fictional people whom the built-in model has never seen."""

from __future__ import annotations

import numpy as np

from faceid_cli.builtin.draw import Drawing, draw
from faceid_cli.builtin.people import Person, person_from_seed
from faceid_cli.builtin.sampling import photo_picture

# Training knows the roster (from 0) and strangers (from a million); see pretrain/pictures.py.
FIRST_UNSEEN = 500_000


def unseen_person(number: int) -> Person:
    """The n-th person that training never saw.

    Raises:
        ValueError: Not 0 to 499,999.
    """
    if not 0 <= number < FIRST_UNSEEN:
        raise ValueError(f"there are {FIRST_UNSEEN} people to choose from, numbered from 0, but not {number}")
    return person_from_seed(FIRST_UNSEEN + number)


def photo_set(number: int, count: int, seed: int, size_px: int = 512) -> list[Drawing]:
    """Draw `count` snapshots of the n-th unseen person; the same arguments draw the same pictures."""
    rng = np.random.default_rng([0x50, number, seed])
    person = unseen_person(number)
    return [draw(photo_picture(person, rng), size_px) for _ in range(count)]

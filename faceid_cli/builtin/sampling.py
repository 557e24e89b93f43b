"""Random pictures of the portrait world: who, where, with what, in which pose."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from faceid_cli.builtin.draw.picture import Figure, Picture
from faceid_cli.builtin.people import Person
from faceid_cli.builtin.vocabulary import ATTRIBUTES, COLORS, GARMENTS, HELD_OBJECTS, LIGHTS, PLAIN_SCENES, SCENES

_HEADWEAR = ("cap", "crown", "headphones")
_MOUTHS = ("smiling", "mouth open")
_HAIR_CHANGES = ("white hair", "purple hair")
_LAST_HOLDS = 0.5  # how often the last of several people holds the thing; else any of them does


def random_picture(people: Sequence[Person], rng: np.random.Generator) -> Picture:
    """A picture of the given people (one to three, left to right) with everything else drawn at random."""
    count = len(people)
    figures = _placed(people, rng)
    shared = None
    if rng.random() < (0.06 if count == 1 else 0.14):
        shared = "chess"
    elif rng.random() < (0.62 if count == 1 else 0.45):
        figures = _with_object(figures, rng)
    scene = str(rng.choice(SCENES)) if rng.random() < 0.86 else str(rng.choice(PLAIN_SCENES))
    light = str(rng.choice(LIGHTS[1:])) if rng.random() < 0.14 else LIGHTS[0]
    return Picture(tuple(figures), scene, light, shared, _feature_x(figures, rng), int(rng.integers(2**31)))


def photo_picture(person: Person, rng: np.random.Generator) -> Picture:
    """A plain snapshot of one person, as somebody would enrol it: near, nothing held, little changed."""
    attributes = {"smiling"} if rng.random() < 0.35 else set()
    figure = _figure(person, rng, float(rng.uniform(50, 78)), float(rng.uniform(0.84, 1.04)), frozenset(attributes))
    scene = str(rng.choice(PLAIN_SCENES)) if rng.random() < 0.6 else str(rng.choice(SCENES))
    return Picture((figure,), scene, LIGHTS[0], None, _feature_x([figure], rng), int(rng.integers(2**31)))


def random_attributes(person: Person, rng: np.random.Generator) -> frozenset[str]:
    """Attributes that can go together and that can be seen on this person; often none."""
    chosen: set[str] = set()
    for _ in range(int(rng.choice([0, 1, 2], p=[0.40, 0.42, 0.18]))):
        word = str(rng.choice(ATTRIBUTES))
        if not clashing(word, chosen, person):
            chosen.add(word)
    return frozenset(chosen)


def clashing(word: str, chosen: Set[str], person: Person) -> bool:
    """Whether an attribute cannot be seen beside those chosen, or on this person."""
    for family in (
        _HEADWEAR,
        _MOUTHS,
        _HAIR_CHANGES,
        ("sunglasses", "eyes closed"),
        ("old", "white hair"),
        ("old", "purple hair"),
    ):
        if word in family and chosen & set(family):
            return True
    hairless = person.hair_style == "bald" or (
        person.hair_style in ("buzz cut", "receding") and "cap" in chosen | {word}
    )
    if word in _HAIR_CHANGES and hairless:
        return True
    return word == "beard" and person.beard == "full"


def _placed(people: Sequence[Person], rng: np.random.Generator) -> list[Figure]:
    count = len(people)
    centers = {1: [64.0], 2: [36.0, 92.0], 3: [23.0, 64.0, 105.0]}[count]
    spread = {1: 17.0, 2: 5.0, 3: 2.5}[count]
    low, high = {1: (0.72, 1.02), 2: (0.62, 0.76), 3: (0.54, 0.64)}[count]
    return [
        _figure(
            person,
            rng,
            center + float(rng.uniform(-spread, spread)),
            float(rng.uniform(low, high)),
            random_attributes(person, rng),
        )
        for person, center in zip(people, centers, strict=True)
    ]


def _figure(person: Person, rng: np.random.Generator, x: float, scale: float, attributes: frozenset[str]) -> Figure:
    y = float(rng.uniform(36, 44)) + 14 * scale + (6 if scale < 0.6 else 0)
    return Figure(
        person=person,
        x=x,
        y=y,
        scale=scale,
        tilt=float(np.clip(rng.normal(0, 4), -9, 9)),
        gaze=float(rng.uniform(-1, 1)),
        attributes=attributes,
        garment=str(rng.choice(GARMENTS if person.woman else GARMENTS[:-1])),
        garment_color=str(rng.choice(list(COLORS))),
    )


def _with_object(figures: list[Figure], rng: np.random.Generator) -> list[Figure]:
    place, figures = who_holds(len(figures), rng), list(figures)
    hand = holding_hand(len(figures), place)
    figures[place] = replace(figures[place], held=str(rng.choice(HELD_OBJECTS)), hand=hand)
    return figures


def who_holds(people: int, rng: np.random.Generator) -> int:
    """Which of some people, counted from the left, holds the picture's thing."""
    return people - 1 if rng.random() < _LAST_HOLDS else int(rng.integers(people))


def holding_hand(people: int, place: int) -> int:
    """The side on which somebody holds things: 1, the picture's right, but -1 for the last of several people.

    Were it left to chance, a model's first guess, made in the dark, would show the thing in both hands at once. For
    the same reason it depends on nothing but what a caption tells.
    """
    return -1 if people > 1 and place == people - 1 else 1


def _feature_x(figures: Sequence[Figure], rng: np.random.Generator) -> float:
    """A place for the scene's main feature where it can be seen past the people."""
    jitter = float(rng.uniform(-4, 4))
    if len(figures) == 1:
        return (26.0 if figures[0].x > 64 else 102.0) + jitter
    if len(figures) == 2:
        return 64.0 + jitter
    return float(rng.choice([43.0, 85.0])) + jitter

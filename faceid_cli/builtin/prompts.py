"""Prompts of the portrait world whose truth is known: what a benchmark asks a model for and a judge looks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceid_cli.builtin.vocabulary import ATTRIBUTES, HELD_OBJECTS, SCENES

_SCENE_WORDS = {
    "eiffel tower": "in front of the eiffel tower",
    "beach": "on the beach",
    "mountains": "in the mountains",
    "forest": "in the forest",
    "city street": "in a city street",
    "desert": "in the desert",
    "snow": "in the snow",
    "space": "in space",
    "library": "in a library",
    "kitchen": "in a kitchen",
    "stadium": "in a stadium",
    "castle": "in front of a castle",
    "underwater": "underwater",
    "night city": "in the city at night",
    "flower garden": "in a flower garden",
    "pyramids": "in front of the pyramids",
}
_ATTRIBUTE_WORDS = {
    "eyes closed": "with eyes closed",
    "smiling": "smiling",
    "mouth open": "with mouth open",
    "sunglasses": "wearing sunglasses",
    "cap": "wearing a cap",
    "crown": "wearing a crown",
    "headphones": "wearing headphones",
    "old": "as an old person",
    "beard": "with a beard",
    "white hair": "with white hair",
    "purple hair": "with purple hair",
}
_ARTICLES = {"apple": "an", "flowers": "some", "pizza": "a slice of", "ice cream": "an"}
# Changes that hide or replace what a face is known by, so that likeness is judged without them where it matters.
FACE_CHANGES: frozenset[str] = frozenset({"sunglasses", "old", "beard", "white hair", "purple hair", "eyes closed"})


@dataclass(frozen=True)
class KnownPrompt:
    """A prompt and the concepts that a picture of it must show.

    Attributes:
        text: With one "{}" for each person.
        scene: Word of vocabulary.SCENES, or None.
        held: Word of vocabulary.HELD_OBJECTS, or None.
        attribute: Word of vocabulary.ATTRIBUTES, or None.
        people: Number of people.
    """

    text: str
    scene: str | None = None
    held: str | None = None
    attribute: str | None = None
    people: int = 1

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concepts asked for, as the judge names them."""
        return tuple(concept for concept in (self.scene, self.held, self.attribute) if concept)


def known_prompt(
    scene: str | None = None, held: str | None = None, attribute: str | None = None, people: int = 1
) -> KnownPrompt:
    """Put a prompt together from vocabulary words."""
    who = {1: "{}", 2: "{} and {}", 3: "{}, {} and {}"}[people]
    parts = [f"a photo of {who}"]
    if attribute:
        parts.append(_ATTRIBUTE_WORDS[attribute])
    if held:
        parts.append(f"holding {_ARTICLES.get(held, 'a')} {held}")
    if scene:
        parts.append(_SCENE_WORDS[scene])
    return KnownPrompt(" ".join(parts), scene, held, attribute, people)


def random_prompts(count: int, seed: int) -> list[KnownPrompt]:
    """Prompts of one to three concepts; some ask for two or three people."""
    rng = np.random.default_rng([0x9A, seed])
    prompts = []
    for _ in range(count):
        people = int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))
        scene = str(rng.choice(SCENES)) if rng.random() < 0.85 else None
        held = str(rng.choice(HELD_OBJECTS)) if rng.random() < 0.5 else None
        attribute = str(rng.choice(ATTRIBUTES)) if people == 1 and (rng.random() < 0.5 or not (scene or held)) else None
        prompts.append(known_prompt(scene, held, attribute, people))
    return prompts

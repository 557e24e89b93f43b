"""Who scores pictures: one small protocol, and the judge of drawings behind it. Photographs have `photographs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from PIL import Image

from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.samples import FIRST_UNSEEN, unseen_person
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.errors import UsageError
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.scores import Embedding, mean_similarity, upper_bound
from faceid_cli.types import Face

JUDGES = ("auto", "builtin", "photographs")
_STRANGERS, _STRANGER_SEED = 48, 0x57A
_TYPICAL_PEOPLE, _TYPICAL_PICTURES = 12, 3


@dataclass(frozen=True)
class Obedience:
    """How well a picture obeys its prompt.

    Attributes:
        score: The higher the better, or None where the judge cannot tell; what it means is the judge's own.
        concepts: What the prompt asks for -> whether it is there; empty where the judge cannot tell.
    """

    score: float | None
    concepts: Mapping[str, bool] = field(default_factory=dict)


class PictureJudge(Protocol):
    """Scores pictures.

    Attributes:
        name: How it is called in reports.
        is_drawn_world: Whether it knows the built-in model's drawings rather than photographs.
    """

    name: str
    is_drawn_world: bool

    def find_faces(self, image: Image.Image) -> list[Face]:
        """All faces of an RGB picture, from left to right, in its pixels."""
        ...

    def embed(self, image: Image.Image, face: Face) -> Embedding:
        """The identity of one face as a unit vector (E,)."""
        ...

    def obedience(self, image: Image.Image, face: Face | None, prompt: EvaluationPrompt) -> Obedience:
        """What of the prompt the picture shows; `face` is the largest one, or None."""
        ...

    def stranger_similarity(self, references: Sequence[Embedding]) -> float:
        """Mean cosine similarity of strangers to the person: where likeness begins."""
        ...

    def typical_similarity(self) -> float | None:
        """Mean similarity between two pictures of one person, for people of a single photo; None if not known."""
        ...


class DrawnJudge:
    """The built-in world's judge.

    Args:
        judge: The networks that see drawings, with their weights.
    """

    name = "builtin"
    is_drawn_world = True

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def find_faces(self, image: Image.Image) -> list[Face]:
        """See `PictureJudge`."""
        return self._judge.find_faces(image)

    def embed(self, image: Image.Image, face: Face) -> Embedding:
        """See `PictureJudge`."""
        return self._judge.embed(image, face)

    def obedience(self, image: Image.Image, face: Face | None, prompt: EvaluationPrompt) -> Obedience:
        """The score is the share of the prompt's concepts that are there; without a face no attribute is."""
        if not prompt.concepts:
            return Obedience(None)
        probabilities = {**self._judge.scenes(image), **self._judge.objects(image)}
        if face is not None:
            probabilities |= self._judge.attributes(image, face)
        concepts = {concept: probabilities.get(concept, 0.0) >= 0.5 for concept in prompt.concepts}
        return Obedience(float(np.mean(list(concepts.values()))), concepts)

    def stranger_similarity(self, references: Sequence[Embedding]) -> float:
        """Measured on drawings of people whom nobody learns: the last ones of the world."""
        return float(np.mean([mean_similarity(stranger, references) for stranger in self._strangers]))

    def typical_similarity(self) -> float | None:
        """Measured on drawings of the same people."""
        return float(
            np.mean([upper_bound(self._drawn(number, _TYPICAL_PICTURES)) for number in range(_TYPICAL_PEOPLE)])
        )

    @cached_property
    def _strangers(self) -> list[Embedding]:
        return [self._drawn(number, 1)[0] for number in range(_STRANGERS)]

    def _drawn(self, number: int, count: int) -> list[Embedding]:
        rng = np.random.default_rng([_STRANGER_SEED, number])
        person = unseen_person(FIRST_UNSEEN - 1 - number)
        drawings = [draw(photo_picture(person, rng)) for _ in range(count)]
        return [self._judge.embed(drawing.image, drawing.faces[0]) for drawing in drawings]


def check_fit(judge: str, base_is_builtin: bool) -> None:
    """Refuse a judge of another world than the base model's.

    Raises:
        UsageError: In that case, or for an unknown judge.
    """
    if judge not in JUDGES:
        raise UsageError(f"unknown judge {judge!r}", f"choose one of: {', '.join(JUDGES)}")
    if judge == "builtin" and not base_is_builtin:
        raise UsageError(
            "the built-in judge only knows drawn portraits, and the base model does not draw them",
            "use --judge photographs",
        )
    if judge == "photographs" and base_is_builtin:
        raise UsageError("the built-in model draws portraits, which a judge of photographs cannot score", "use auto")

"""A picture of an evaluation, with its scores."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.scores import PictureScore
from faceid_cli.types import Face


@dataclass(frozen=True)
class ScoredPicture:
    """One picture of an evaluation.

    Attributes:
        prompt: What it was asked to show.
        seed: Of its noise.
        image: The picture itself, RGB.
        score: Similarity, concepts and attention.
        prompt_score: How well it obeys, in the judge's own measure; None where the judge cannot tell.
        likeness: Percent between strangers and the person's own photos; None where not known, 0 without a face.
        faces: Number of faces found.
        face: The largest one, or None.
        seconds: Of rendering; None where attention was recorded, which takes time of its own.
        sharpness: Detail of the face as a share of that of the person's photos; None where not known.
    """

    prompt: EvaluationPrompt
    seed: int
    image: Image.Image
    score: PictureScore
    prompt_score: float | None
    likeness: float | None
    faces: int
    face: Face | None
    seconds: float | None
    sharpness: float | None = None

"""A trial in the built-in world: learn an unseen person from drawings, render known prompts, let the judge score.

A trial measures what the method promises: the face is right and the prompt is obeyed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceid_cli.backbone import BaseModel
from faceid_cli.builtin.draw import Drawing, draw
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.prompts import known_prompt
from faceid_cli.builtin.samples import photo_set, unseen_person
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.likeness import Likeness, likeness_to
from faceid_cli.evaluation.overlooked import face_details, mean_details
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.run import render_prompt, score_picture
from faceid_cli.evaluation.scores import PictureScore, upper_bound
from faceid_cli.faces.cutting import IntakeOptions
from faceid_cli.faces.drawn import DrawnFaceFinder
from faceid_cli.faces.intake import take_in
from faceid_cli.orders import RenderConfig, TrainConfig
from faceid_cli.training import train_identity
from faceid_cli.training.initial import settled
from faceid_cli.types import FaceCrop

PROMPTS = tuple(
    EvaluationPrompt(each.text, "your own", each.concepts)
    for each in (
        known_prompt("eiffel tower", "basketball"),
        known_prompt("mountains", None, "eyes closed"),
        known_prompt("beach", None, "smiling"),
        known_prompt("library", "coffee cup"),
        known_prompt("snow", None, "cap"),
        known_prompt("castle", None, "crown"),
        known_prompt("forest", "guitar"),
        known_prompt(None, "cat", "mouth open"),
        known_prompt("night city", "balloon"),
        known_prompt("desert", None, "headphones"),
    )
)
REFERENCE_PICTURES = 8
WITH_ATTENTION = 3
"""Of how many prompts attention is recorded: that takes time of its own, so they are left out of the seconds."""

_NAME = "person"
_REFERENCE_SEED = 0x2EF


@dataclass(frozen=True)
class Trial:
    """One person's trial.

    Attributes:
        config: What they were learned with, nothing of it "auto" any more.
        scores: One a prompt.
        upper_bound: Mean similarity between two drawings of the person.
        enrol_seconds: Training, without loading the model.
        image_seconds: Mean per picture, rendered one at a time.
    """

    config: TrainConfig
    scores: tuple[PictureScore, ...]
    upper_bound: float
    enrol_seconds: float
    image_seconds: float


def person_crops(judge: Judge, person: int, photos: int, size_px: int, jitter: int = 0) -> list[FaceCrop]:
    """Training crops of an unseen person, by the way that files take; `jitter` further ones of each photo."""
    options = IntakeOptions(size_px, "largest", strict=True, keep_poor=True, jitter=jitter)
    with tempfile.TemporaryDirectory() as folder:
        for place, drawing in enumerate(photo_set(person, photos, 0)):
            drawing.image.save(Path(folder) / f"{place}.png")
        return list(take_in([Path(folder)], DrawnFaceFinder(judge), options).crops)


def reference_drawings(person: int) -> list[Drawing]:
    """Drawings of the person that training does not see."""
    rng = np.random.default_rng([_REFERENCE_SEED, person])
    return [draw(photo_picture(unseen_person(person), rng)) for _ in range(REFERENCE_PICTURES)]


def reference_likeness(judge: PictureJudge, person: int) -> Likeness:
    """What pictures of the person are compared with: those drawings, their embeddings and their detail."""
    faces = [(drawing.image, drawing.faces[0]) for drawing in reference_drawings(person)]
    details = mean_details([face_details(image, face) for image, face in faces])
    return likeness_to(judge, [judge.embed(image, face) for image, face in faces], details)


def run_trial(
    base: BaseModel,
    judge: PictureJudge,
    crops: Sequence[FaceCrop],
    likeness: Likeness,
    config: TrainConfig,
    rendering: RenderConfig,
) -> Trial:
    """Learn one person, and score one picture a prompt."""
    started = time.perf_counter()
    config = settled(base, crops, config)
    tokens, _ = train_identity(base, crops, config)
    enrol_seconds = time.perf_counter() - started
    scores, seconds = [], []
    for place, prompt in enumerate(PROMPTS):
        text, people = prompt.with_mark(f"<{_NAME}>"), {_NAME: tokens}
        (image,), (share,), each = render_prompt(base, judge, text, people, [place], rendering, place < WITH_ATTENTION)
        scores.append(score_picture(judge, likeness, prompt, place, image, share).score)
        seconds += [] if each is None else [each]
    bound = upper_bound(likeness.references)
    return Trial(config, tuple(scores), bound, enrol_seconds, float(np.mean(seconds)))

"""Which face of a picture is scored, what a picture without one counts, and what percent mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli import RenderConfig
from faceid_cli.evaluation.judges import Obedience
from faceid_cli.evaluation.likeness import Likeness, likeness_to
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.run import placed_prompt, score_picture
from faceid_cli.evaluation.summary import summarise
from faceid_cli.evaluation.trade_off import trade_offs
from faceid_cli.tokens import ENCODER, class_embedding
from faceid_cli.types import Box, Face, IdentityTokens

PROMPT = EvaluationPrompt("{} on the beach", "scene", ("beach",))
PICTURE = Image.effect_noise((64, 64), 60).convert("RGB")
LIKENESS = Likeness((np.array([1.0, 0.0]),), 0.4, 0.9, {40: 0.5})


class SeesFaces:
    """Finds faces of given widths; the identity of one of width 20 is the person's, and of any other at odds with it.

    The prompt is obeyed where the face that it is asked about is the one of width 20, or where there is none.
    """

    name, is_drawn_world = "by width", True

    def __init__(self, *widths: float) -> None:
        self.widths, self.sizes = widths, []

    def find_faces(self, image: Image.Image) -> list[Face]:
        self.sizes.append(image.size)
        return [Face(Box(2, 2, width, width), ((8.0, 8.0),) * 5, 1.0) for width in self.widths]

    def embed(self, image: Image.Image, face: Face) -> np.ndarray:
        return np.array([1.0, 0.0]) if face.box.width == 20 else np.array([0.0, 1.0])

    def obedience(self, image: Image.Image, face: Face | None, prompt: EvaluationPrompt) -> Obedience:
        obeyed = face is None or face.box.width == 20
        return Obedience(float(obeyed), dict.fromkeys(prompt.concepts, obeyed))

    def stranger_similarity(self, references: Sequence[np.ndarray]) -> float:
        return 0.25

    def typical_similarity(self) -> float | None:
        return 0.75


def test_of_several_faces_the_largest_is_the_one_that_counts() -> None:
    found = score_picture(SeesFaces(5, 20, 10), LIKENESS, PROMPT, 7, PICTURE)
    assert (found.faces, found.face.box.width, found.seed) == (3, 20, 7)
    assert found.score.similarity == pytest.approx(1.0)
    assert found.likeness == pytest.approx(120)
    assert found.score.obeys
    assert found.sharpness > 0


def test_a_picture_without_a_face_is_unlike_and_known_for_it() -> None:
    found = score_picture(SeesFaces(), LIKENESS, PROMPT, 7, PICTURE)
    assert (found.faces, found.face, found.score.similarity, found.sharpness) == (0, None, None, None)
    assert found.likeness == 0, "not below that of a stranger"
    assert found.score.identity == 0
    both = [found, score_picture(SeesFaces(20), LIKENESS, PROMPT, 7, PICTURE)]
    assert summarise(both, True).identity == pytest.approx(0.5)
    unknown = Likeness(LIKENESS.references, 0.4, None)
    assert score_picture(SeesFaces(), unknown, PROMPT, 7, PICTURE).likeness is None
    assert score_picture(SeesFaces(20), None, PROMPT, 7, PICTURE).score.similarity is None


def test_percent_lie_between_strangers_and_the_persons_own_photos() -> None:
    assert [LIKENESS.percent(similarity) for similarity in (0.4, 0.65, 0.9)] == pytest.approx([0, 50, 100])
    assert Likeness(LIKENESS.references, 0.4, 0.4).percent(0.5) is None
    assert score_picture(SeesFaces(5), LIKENESS, PROMPT, 7, PICTURE).likeness == pytest.approx(-80), "below strangers"


def test_one_photo_is_measured_by_what_is_typical_and_two_by_each_other() -> None:
    one, two = np.array([1.0, 0.0]), np.array([0.6, 0.8])
    assert likeness_to(SeesFaces(), [one]).own == 0.75
    both = likeness_to(SeesFaces(), [one, two])
    assert both.own == pytest.approx(0.6)
    assert both.strangers == 0.25
    assert both.similarity(one) == pytest.approx(0.8), "the mean over all photos"


def test_a_prompt_without_a_mark_is_said_of_the_person() -> None:
    assert placed_prompt(PROMPT, "al") == "<al> on the beach"
    assert placed_prompt(EvaluationPrompt("at night", "your own", ()), "al") == "a photo of <al>, at night"


def test_levels_of_likeness_are_tried_on_keys_and_values_alike_and_at_the_first_size(tiny_base) -> None:
    feature = 3 + class_embedding(tiny_base, "person").view(1, 1, -1)
    tokens, seen = IdentityTokens({ENCODER: feature}, {ENCODER: torch.flip(feature, (-1,))}), {}
    others = {"likeness_keys": 0.1, "likeness_values": 0.2, "likeness_of": ("x=0.3",), "hires": 1.5}
    for name, dials in {"plain": {}, "set": others}.items():
        judge = SeesFaces(20)
        config = RenderConfig(steps=2, **dials)
        seen[name] = trade_offs(
            tiny_base, _Noting(judge), LIKENESS, tokens, "x", "<x> on the beach", PROMPT, config, (0.0, 1.0), (5,)
        )
        assert judge.sizes == [(64, 64)] * 2
    assert seen["plain"] == seen["set"]
    assert seen["plain"][0].identity != seen["plain"][1].identity


class _Noting:
    """A judge whose identity is in the pixels."""

    def __init__(self, judge: SeesFaces) -> None:
        self.find_faces, self.obedience = judge.find_faces, judge.obedience

    def embed(self, image: Image.Image, face: Face) -> np.ndarray:
        return np.asarray(image, dtype=float).reshape(-1, 3).mean(axis=0)[:2]

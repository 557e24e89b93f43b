"""evaluation/run.py and report.py: scores of pictures, and what they add up to."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli.evaluation.judges import Obedience
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.picture import ScoredPicture
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.run import background_spread, evaluate_tokens, face_place_spread
from faceid_cli.evaluation.scores import PictureScore
from faceid_cli.evaluation.summary import by_group, picture_grid, summarise, to_csv
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import ENCODER, class_embedding
from faceid_cli.types import Box, Face, IdentityTokens


class FixedJudge:
    """Sees one face in the upper left quarter of every picture, and the beach everywhere."""

    name, is_drawn_world = "fixed", True
    face = Face(Box(0, 0, 32, 32), ((8, 8),) * 5, 1.0)

    def find_faces(self, image):
        return [self.face]

    def embed(self, image, face):
        return np.array([1.0, 1.0])

    def obedience(self, image, face, prompt):
        concepts = {concept: concept == "beach" for concept in prompt.concepts}
        return Obedience(0.5, concepts)

    def stranger_similarity(self, references):
        return 0.0

    def typical_similarity(self):
        return None


def tokens_of(base) -> IdentityTokens:
    feature = class_embedding(base, "person").view(1, 1, -1)
    return IdentityTokens({ENCODER: feature}, {ENCODER: feature.clone()})


PROMPTS = (
    EvaluationPrompt("{} on the beach", "scene", ("beach",)),
    EvaluationPrompt("holding a cup", "your own", ("cup",)),
)


def test_pictures_are_those_that_generate_makes_and_scores_add_up(tiny_base) -> None:
    config, told = RenderConfig(steps=2), []
    likeness = Likeness((np.array([1.0, 0.0]),), 0.0, 1.0)
    scored = evaluate_tokens(
        tiny_base,
        FixedJudge(),
        tokens_of(tiny_base),
        likeness,
        PROMPTS,
        config,
        pictures=2,
        on_picture=lambda done, total: told.append((done, total)),
    )
    assert told == [(2, 4), (4, 4)]
    assert [picture.seed for picture in scored] == [0, 1, 1000, 1001]
    again = render(
        tiny_base, "a photo of <person>, holding a cup", {"person": tokens_of(tiny_base)}, [1000, 1001], config
    )
    assert [picture.image.tobytes() for picture in scored[2:]] == [picture.image.tobytes() for picture in again]
    assert scored[0].score.similarity == pytest.approx(2**-0.5)
    assert scored[0].likeness == pytest.approx(100 * 2**-0.5)
    assert 0 < scored[0].score.attention_share < 1
    assert scored[0].seconds is None
    assert scored[2].score.attention_share is None
    assert scored[2].seconds > 0

    summary = summarise(scored, True)
    assert summary.identity == pytest.approx(2**-0.5)
    assert summary.identity_of_prompt == pytest.approx(2**-0.5 / 2), "half of the prompts are obeyed"
    assert summary.one_face == 1
    assert summary.face_place_spread == 0
    assert set(by_group(scored, True)) == {"scene", "your own"}
    assert summarise(scored, False).identity is None


def picture(colour: tuple[int, int, int] = (0, 0, 0), left: float = 0.0) -> ScoredPicture:
    face = Face(Box(left, 10, 20, 20), ((0.0, 0.0),) * 5, 1.0)
    prompt = EvaluationPrompt("{} on the beach", "scene", ("beach",))
    score = PictureScore(0.5, {"beach": False})
    return ScoredPicture(prompt, 0, Image.new("RGB", (100, 50), colour), score, 0.0, 50.0, 1, face, 1.0)


def test_a_photo_pasted_into_every_picture_is_found_out() -> None:
    pasted = [picture((10, 200, 30), 40.0)] * 3
    assert face_place_spread(pasted) == 0
    assert background_spread(pasted) == 0
    varied = [picture((0, 0, 0), 0.0), picture((255, 255, 255), 50.0)]
    assert face_place_spread(varied) == pytest.approx(0.5)
    assert background_spread(varied) == pytest.approx(1.0)
    faces_only = [picture((0, 0, 0), 0.0), picture((0, 0, 0), 50.0)]
    assert background_spread(faces_only) == 0, "the face moves, the background does not"
    assert face_place_spread([picture()]) is None
    assert background_spread([picture()]) is None


def test_a_picture_without_a_face_counts_as_no_likeness() -> None:
    lost = replace(picture(), face=None, faces=0, score=PictureScore(None, {"beach": True}), likeness=0.0)
    summary = summarise([picture(), lost], True)
    assert summary.identity == 0.25
    assert summary.likeness_percent == 25
    assert summary.one_face == 0.5
    assert summary.identity_of_prompt == 0


def test_the_csv_has_a_line_a_picture_and_the_grid_a_cell() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([("alice", picture()), ("alice", picture())]))))
    assert len(rows) == 2
    assert rows[0]["name"] == "alice"
    assert rows[0]["missing"] == "beach"
    assert float(rows[0]["similarity"]) == 0.5
    assert picture_grid([picture()] * 4, 100).width > 200


def test_what_a_method_changes_is_in_place_while_a_prompt_is_rendered(tiny_base) -> None:
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def around(text):
        seen.append(text)
        with torch.no_grad():
            tiny_base.unet.conv_out.bias.add_(5)
            yield
            tiny_base.unet.conv_out.bias.sub_(5)

    plain, changed = (
        evaluate_tokens(
            tiny_base, FixedJudge(), tokens_of(tiny_base), None, PROMPTS[:1], RenderConfig(steps=2), around=each
        )
        for each in (None, around)
    )
    assert seen == ["<person> on the beach"]
    assert plain[0].image.tobytes() != changed[0].image.tobytes()

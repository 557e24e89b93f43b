"""evaluation/scores.py: each score on cases whose value is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faceid_cli.attention.record import AttentionMap
from faceid_cli.evaluation.scores import (
    PictureScore,
    attention_share,
    cosine_similarity,
    identity_of_prompt,
    mean_similarity,
    upper_bound,
)
from faceid_cli.types import Box

RIGHT, UP, LEFT = np.array([2.0, 0.0]), np.array([0.0, 3.0]), np.array([-1.0, 0.0])


def test_cosine_similarity_ignores_length() -> None:
    assert cosine_similarity(RIGHT, 5 * RIGHT) == pytest.approx(1)
    assert cosine_similarity(RIGHT, UP) == pytest.approx(0)
    assert cosine_similarity(RIGHT, LEFT) == pytest.approx(-1)
    assert cosine_similarity(RIGHT.astype(np.float32), RIGHT + UP * 2 / 3) == pytest.approx(2**-0.5)


def test_embeddings_that_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"cannot compare"):
        cosine_similarity(RIGHT, np.zeros(2))
    with pytest.raises(ValueError, match=r"cannot compare"):
        cosine_similarity(RIGHT, np.ones(3))


def test_likeness_as_a_share_of_the_upper_bound() -> None:
    diagonal = np.array([1.0, 1.0])
    assert mean_similarity(RIGHT, [RIGHT, UP]) == pytest.approx(0.5)
    assert upper_bound([RIGHT, diagonal, UP]) == pytest.approx(2 * 2**-0.5 / 3)
    with pytest.raises(ValueError, match=r"nothing to average"):
        upper_bound([RIGHT])


SCORES = [
    PictureScore(0.8, {"beach": True, "cap": True}),
    PictureScore(0.6, {"beach": True, "cap": False}),
    PictureScore(None, {"beach": True}),
    PictureScore(0.4),
]


def test_identity_counts_only_where_the_prompt_is_obeyed() -> None:
    assert identity_of_prompt(SCORES) == pytest.approx((0.8 + 0 + 0 + 0.4) / 4)


def _map(pixels: torch.Tensor) -> AttentionMap:
    """(H, W) attention to text position 1 of two, in the last of two rows; the first row attends elsewhere."""
    probabilities = torch.stack([1 - pixels, pixels], dim=-1)
    return AttentionMap("layer", torch.stack([probabilities.flip(-1), probabilities]))


def test_attention_share_inside_the_face_box() -> None:
    left_half = torch.zeros(4, 8)
    left_half[:, :4] = 0.5
    even = torch.full((2, 2), 0.3)
    box, size = Box(0, 0, 40, 40), (80, 40)  # the left half of the picture, which is wider than high
    assert attention_share([_map(left_half)], [1], box, size) == pytest.approx(1)
    assert attention_share([_map(even)], [1], box, size) == pytest.approx(0.5)
    assert attention_share([_map(left_half), _map(even)], [1], box, size) == pytest.approx(0.75)
    assert attention_share([_map(left_half)], [1], Box(40, 0, 40, 40), size) == pytest.approx(0)

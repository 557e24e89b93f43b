"""evaluation/scores.py: each score on cases whose value is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faceid_cli.attention.record import AttentionMap
from faceid_cli.evaluation.scores import (
    PictureScore,
    attention_share,
    bootstrap_interval,
    concepts_obeyed,
    cosine_similarity,
    detection_rate,
    identity_of_prompt,
    mean_similarity,
    obedience,
    share_of_upper_bound,
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
    assert share_of_upper_bound(0.4, 0.8) == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"above 0"):
        share_of_upper_bound(0.4, 0.0)
    with pytest.raises(ValueError, match=r"nothing to average"):
        upper_bound([RIGHT])


def test_concepts_are_obeyed_from_a_half_on() -> None:
    found = {"basketball": 0.9, "beach": 0.5, "cap": 0.49}
    assert concepts_obeyed(found, ["basketball", "beach", "cap"]) == {"basketball": True, "beach": True, "cap": False}
    with pytest.raises(ValueError, match=r"not recognisable: unicorn"):
        concepts_obeyed(found, ["unicorn", "cap"])


SCORES = [
    PictureScore(0.8, {"beach": True, "cap": True}),
    PictureScore(0.6, {"beach": True, "cap": False}),
    PictureScore(None, {"beach": True}),
    PictureScore(0.4),
]


def test_identity_counts_only_where_the_prompt_is_obeyed() -> None:
    assert identity_of_prompt(SCORES) == pytest.approx((0.8 + 0 + 0 + 0.4) / 4)


def test_obedience_and_detection() -> None:
    assert obedience(SCORES) == pytest.approx(4 / 5)
    assert detection_rate(SCORES) == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match=r"nothing to average"):
        obedience([PictureScore(0.4)])


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


def test_the_interval_resamples_identities_not_pictures() -> None:
    """A hundred pictures of each of four people say no more about people than one of each does."""
    few = bootstrap_interval([[0.2], [0.4], [0.6], [0.8]])
    many = bootstrap_interval([[0.2] * 100, [0.4] * 100, [0.6] * 100, [0.8] * 100])
    assert few.mean == pytest.approx(0.5)
    assert (many.low, many.high) == pytest.approx((few.low, few.high))
    assert few.low < 0.35
    assert few.high > 0.65
    certain = bootstrap_interval([[0.5], [0.5]])
    assert (certain.low, certain.mean, certain.high) == pytest.approx((0.5, 0.5, 0.5))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        interval = bootstrap_interval([[value] for value in rng.normal(0.5, 0.1, 30)], 0.9, resamples=400)
        hits += interval.low <= 0.5 <= interval.high
    assert 0.82 <= hits / 200 <= 0.96


def test_the_interval_is_repeatable_and_needs_values() -> None:
    values = [[0.1, 0.4], [0.5], [0.9]]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    with pytest.raises(ValueError, match=r"no identities"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match=r"nothing to average"):
        bootstrap_interval([[0.1], []])

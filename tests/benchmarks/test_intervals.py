"""benchmarks/intervals.py: how sure a mean over people is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.intervals import bootstrap_interval


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
    with pytest.raises(ValueError, match=r"without values"):
        bootstrap_interval([[0.1], []])

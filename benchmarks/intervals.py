"""Means over people, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: Sequence[Sequence[float]], confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean over identities, with a bootstrap interval that resamples identities, not pictures.

    Pictures of one person are alike, so they are no independent measurements: each identity counts once, by the mean
    of its values.

    Args:
        values: For each identity the values of its pictures.
        confidence: Of the interval, between 0 and 1.
        resamples: Number of bootstrap samples.
        seed: Of the resampling.

    Raises:
        ValueError: No identities, or one without values.
    """
    if not all(len(identity) for identity in values):
        raise ValueError("an identity without values")
    means = np.array([float(np.mean(identity)) for identity in values])
    if not means.size:
        raise ValueError("no identities to average")
    rng = np.random.default_rng(seed)
    samples = means[rng.integers(len(means), size=(resamples, len(means)))].mean(axis=1)
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(means.mean()), float(low), float(high))

"""Somebody between two people: their tokens, stage by stage, on the way from one to the other.

Shapes: S stages, N vectors per feature, D width of token embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from faceid_cli.errors import UsageError

_PARALLEL = 1e-4  # angle in radians, below which the straight line is as good

Side = Mapping[str, NDArray[np.float32]]


def blended_side(first: Side, second: Side, weight: float) -> dict[str, NDArray[np.float32]]:
    """Keys or values of somebody between two people, by text encoder.

    Each vector goes along the great circle, and its length from one length to the other: the words of a vocabulary lie
    near a sphere, and the straight line between two of them would leave it, for where no word is.

    Args:
        first: Of the first person, (S, N, D) each.
        second: Of the second person; with one stage where the other has several, it counts for all of them.
        weight: How much of the second, 0 to 1; at 0 and 1 no bit of that person changes.

    Raises:
        UsageError: They have other text encoders, or other numbers of stages or vectors.
    """
    if first.keys() != second.keys():
        raise UsageError("they were learned for other text encoders", "enroll both on one base model")
    return {name: _between(first[name], second[name], weight) for name in first}


def _between(first: NDArray[np.float32], second: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    stages = {len(first), len(second)} - {1}
    if len(stages) > 1 or first.shape[1:] != second.shape[1:]:
        raise UsageError(
            f"they have other numbers of stages or vectors: {first.shape[:2]} and {second.shape[:2]}",
            "enroll them with equal settings",
        )
    shape = (max(stages, default=1), *first.shape[1:])
    if weight in (0, 1):
        return np.array(np.broadcast_to((first, second)[int(weight)], shape), dtype=np.float32)
    one, other = (np.broadcast_to(side.astype(np.float64), shape) for side in (first, second))
    lengths = [np.linalg.norm(side, axis=-1, keepdims=True) for side in (one, other)]
    units = [side / np.maximum(length, 1e-12) for side, length in zip((one, other), lengths, strict=True)]
    angle = np.arccos(np.clip((units[0] * units[1]).sum(-1, keepdims=True), -1, 1))
    shares = [
        np.where(angle < _PARALLEL, share, np.sin(share * angle) / np.maximum(np.sin(angle), 1e-12))
        for share in (1 - weight, weight)
    ]
    direction = shares[0] * units[0] + shares[1] * units[1]
    direction /= np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-12)
    return np.asarray(direction * ((1 - weight) * lengths[0] + weight * lengths[1]), dtype=np.float32)

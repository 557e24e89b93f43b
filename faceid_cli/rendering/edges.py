"""Canny's edges, as ControlNets for edges were taught with them: white lines on black. Needs no torch.

The rules are those of OpenCV's `Canny` with a 3 x 3 Sobel operator and the L1 norm, so that the maps agree with the
ones that such a ControlNet has seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LOW, HIGH = 100, 200
"""Gradients above HIGH are edges; those above LOW are if they touch an edge. Usual for ControlNets."""

# tan(22.5 degrees), below which a gradient counts as horizontal; steeper than 67.5 degrees it counts as vertical.
_TAN_22 = 0.41421356237309503


def edge_map(image: Image.Image, low: int = LOW, high: int = HIGH) -> Image.Image:
    """Return the edges of an RGB picture as an RGB picture of the same size, white on black.

    Args:
        image: The picture.
        low: Gradient (|dx| + |dy|, of 8-bit levels) from which a pixel may go on an edge.
        high: Gradient from which a pixel starts one.
    """
    across, down = _strongest(*_sobel(np.asarray(image.convert("RGB"), dtype=np.int32)))
    strength = np.abs(across) + np.abs(down)
    ridge = _is_ridge(across, down, strength) & (strength > low)
    edges = _connected(ridge, ridge & (strength > high))
    return Image.fromarray((edges * 255).astype(np.uint8), "L").convert("RGB")


def _sobel(pixels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Differences to the right and down, (H, W, 3) each; the picture's border is repeated outwards."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    columns = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]


def _strongest(across: NDArray[np.int32], down: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The gradient of that channel in which it is strongest, (H, W) each."""
    best = np.argmax(np.abs(across) + np.abs(down), axis=2)[..., None]
    return np.take_along_axis(across, best, 2)[..., 0], np.take_along_axis(down, best, 2)[..., 0]


def _is_ridge(across: NDArray[np.int32], down: NDArray[np.int32], strength: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether no neighbour along the gradient is stronger, (H, W); of two equal ones the first counts."""
    padded = np.pad(strength, 1)

    def neighbour(row: int, column: int) -> NDArray[np.int32]:
        height, width = strength.shape
        return padded[1 + row : 1 + row + height, 1 + column : 1 + column + width]

    wide, high = np.abs(across), np.abs(down)
    horizontal = high < wide * _TAN_22
    vertical = high > wide * (_TAN_22 + 2)
    falling = (across ^ down) < 0  # the gradient points up to the right, or down to the left
    along_row = (strength > neighbour(0, -1)) & (strength >= neighbour(0, 1))
    along_column = (strength > neighbour(-1, 0)) & (strength >= neighbour(1, 0))
    rising_diagonal = (strength > neighbour(-1, -1)) & (strength > neighbour(1, 1))
    falling_diagonal = (strength > neighbour(-1, 1)) & (strength > neighbour(1, -1))
    diagonal = np.where(falling, falling_diagonal, rising_diagonal)
    return np.where(horizontal, along_row, np.where(vertical, along_column, diagonal))


def _connected(candidates: NDArray[np.bool_], starts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The candidates that touch a start, directly or over other candidates, (H, W)."""
    open_ones = np.pad(candidates & ~starts, 1).ravel()
    found = np.pad(starts, 1).ravel()
    row = candidates.shape[1] + 2
    steps = np.array([-row - 1, -row, -row + 1, -1, 1, row - 1, row, row + 1])
    frontier = np.flatnonzero(found)
    while frontier.size:
        around = (frontier[:, None] + steps).ravel()
        frontier = np.unique(around[open_ones[around]])
        open_ones[frontier], found[frontier] = False, True
    return found.reshape(-1, row)[1:-1, 1:-1]

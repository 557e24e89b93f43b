"""Arithmetic on attention maps: pure functions.

Shapes: B pictures, H x W pixels (rows first), T text positions. Sizes are always given as (height, width).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from faceid_cli.attention.record import AttentionMap
from faceid_cli.types import Box


def resize(attention: Tensor, height: int, width: int) -> Tensor:
    """Return maps (..., H, W) resized bilinearly to (..., height, width)."""
    flat = attention.reshape(-1, 1, *attention.shape[-2:])
    resized = F.interpolate(flat, size=(height, width), mode="bilinear", align_corners=False)
    return resized.view(*attention.shape[:-2], height, width)


def average(maps: Sequence[Tensor], height: int, width: int) -> Tensor:
    """Return the mean of maps (..., H_i, W_i) of different sizes, each resized to (..., height, width) first.

    Raises:
        ValueError: No maps.
    """
    if not maps:
        raise ValueError("no maps to average")
    return torch.stack([resize(attention, height, width) for attention in maps]).mean(dim=0)


def word_map(maps: Sequence[AttentionMap], positions: Sequence[int], height: int, width: int) -> Tensor:
    """Return how much each pixel attends to a word, (B, height, width): its positions summed, layers averaged.

    Args:
        maps: Recorded maps, one a layer; of equal B.
        positions: Text positions of the word, for instance `EncodedPrompt.positions["alice"]`.
        height: Of the result.
        width: Of the result.

    Raises:
        ValueError: No maps or no positions.
    """
    if not positions:
        raise ValueError("no text positions to map")
    return average([layer.probabilities[..., list(positions)].sum(dim=-1) for layer in maps], height, width)


def share_inside(attention: Tensor, box: Box, image_size: tuple[int, int]) -> Tensor:
    """Return which share of each map's mass lies inside a box of the picture, 0..1; 0 for an empty map.

    Pixels that the box covers partly count partly.

    Args:
        attention: (..., H, W), not negative, of any resolution.
        box: In pixels of the picture; parts outside of it are ignored.
        image_size: (width, height) of the picture in pixels, as PIL gives it.

    Returns:
        (...)
    """
    height, width = attention.shape[-2:]
    across = _coverage(box.x, box.x + box.width, image_size[0], width).to(attention)
    down = _coverage(box.y, box.y + box.height, image_size[1], height).to(attention)
    inside = torch.einsum("...hw,h,w->...", attention, down, across)
    total = attention.sum(dim=(-2, -1))
    return torch.where(total > 0, inside / total.clamp_min(torch.finfo(attention.dtype).tiny), 0.0)


def _coverage(start_px: float, end_px: float, size_px: int, cells: int) -> Tensor:
    """Which share of each cell lies between two positions, (cells,)."""
    edges = torch.arange(cells + 1, dtype=torch.float64) * (size_px / cells)
    clipped = edges.clamp(start_px, max(start_px, end_px))
    return clipped.diff() / (size_px / cells)

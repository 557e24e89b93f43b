"""Changing a part of a picture: cut out what surrounds the mask, render that, and paste it back.

The base model works at its own resolution, however large the picture is. Pixels outside of the mask stay bit for bit;
the soft edge lies inside of it.

Shapes: h x w a latent picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from faceid_cli.errors import UsageError
from faceid_cli.photo_files import flattened
from faceid_cli.types import Region

CONTEXT = 0.45
"""The mask's height as a share of what is rendered. Of a face it is what people are learned at."""

_SOFT_EDGE = 0.06  # width of the edge, in sides of a square as large as the mask
_WHITE = 128
_STEP_PX = 8
_LEAST_PX = 64


@dataclass(frozen=True)
class Patch:
    """The part of a picture that is rendered anew.

    Attributes:
        box: Left, top, right, bottom in pixels of the picture.
        size: Width and height at which it is rendered.
        mask: What may change, 255 or 0, in the box's own pixels; mode "L".
        whole: Width and height of the picture.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    mask: Image.Image
    whole: tuple[int, int]

    def region(self, region: Region) -> Region:
        """A region of the picture as shares of the patch; it may be empty, where it lies outside of it."""
        left, top, right, bottom = self.box
        across = [min(max((each * self.whole[0] - left) / (right - left), 0.0), 1.0) for each in region[::2]]
        down = [min(max((each * self.whole[1] - top) / (bottom - top), 0.0), 1.0) for each in region[1::2]]
        return across[0], down[0], across[1], down[1]

    def cut(self, picture: Image.Image) -> Image.Image:
        """Cut the patch out of an RGB picture of the same size as the mask's, at the size of the rendering."""
        return picture.crop(self.box).resize(self.size, Image.Resampling.LANCZOS)

    def free(self, factor: int) -> Tensor:
        """Return which places of the latent picture may change, (1, 1, h, w) float32 of 0 and 1.

        Args:
            factor: Pixels that a latent place stands for, across and down.
        """
        # A place is free if its share of the mask is more than nothing: what stays of it is pasted over anyway.
        width, height = self.size
        small = self.mask.convert("F").resize((width // factor, height // factor), Image.Resampling.BOX)
        return torch.from_numpy((np.asarray(small) > 0).astype(np.float32))[None, None]

    def paste(self, picture: Image.Image, rendered: Image.Image) -> Image.Image:
        """Return the picture with the rendered patch in it, soft at the edge of the mask and within."""
        size = (self.box[2] - self.box[0], self.box[3] - self.box[1])
        patch = rendered.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        changed = picture.copy()
        changed.paste(patch, self.box[:2], self._opacity())
        return changed

    def _opacity(self) -> Image.Image:
        """From 0 at the mask's edge to 255 inside; mode "L", of the box's size."""
        area = float((np.asarray(self.mask) > 0).sum())
        # A blurred edge is at one half where the edge was: the upper half of it lies inside.
        blurred = self.mask.filter(ImageFilter.GaussianBlur(_SOFT_EDGE * math.sqrt(area) / 2))
        soft = np.clip(2 * np.asarray(blurred, dtype=np.int16) - 255, 0, 255)
        return Image.fromarray(np.where(np.asarray(self.mask) > 0, soft, 0).astype(np.uint8), "L")


def plan_patch(mask: Image.Image, width: int, height: int) -> Patch:
    """Choose what to render of a picture: the mask with room around it, in the shape of the rendering where it fits.

    Args:
        mask: Of the picture's size; light where it may change. Transparent is black.
        width: Of the rendering in pixels, as it would be without a picture.
        height: Of the rendering in pixels, likewise.

    Raises:
        UsageError: Nothing of the picture may change.
    """
    binary = flattened(mask).convert("L").point([255 * (level >= _WHITE) for level in range(256)])
    bounds = binary.getbbox()
    if bounds is None:
        raise UsageError(
            "the mask is black, so nothing may change", "paint white what may change; transparent is black, too"
        )
    tall = max(bounds[3] - bounds[1], (bounds[2] - bounds[0]) * height / width) / CONTEXT
    across = _interval((bounds[0] + bounds[2]) / 2, tall * width / height, mask.width)
    down = _interval((bounds[1] + bounds[3]) / 2, tall, mask.height)
    box = (across[0], down[0], across[1], down[1])
    size = _rendered_size(across[1] - across[0], down[1] - down[0], width, height)
    return Patch(box, size, binary.crop(box), mask.size)


def _interval(middle: float, length: float, limit: int) -> tuple[int, int]:
    """As long as wished around the middle, moved and, if need be, cut into 0..limit."""
    whole = min(max(round(length), 1), limit)
    start = min(max(round(middle - length / 2), 0), limit - whole)
    return start, start + whole


def _rendered_size(across: int, down: int, width: int, height: int) -> tuple[int, int]:
    """The patch's shape at the area of the rendering, in steps that autoencoders can take."""
    if abs(across / down * height / width - 1) < 0.02:
        return width, height
    scale = math.sqrt(width * height / (across * down))
    return _stepped(across * scale), _stepped(down * scale)


def _stepped(length: float) -> int:
    return max(round(length / _STEP_PX) * _STEP_PX, _LEAST_PX)

"""How good a photo of a face is: size, sharpness, light, pose, cover; and which photos are nearly the same one.

Measured in the training crop, because that is what is learned from. Needs no network but for the cover.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceid_cli.types import Face

_HASH_PX = 16
HASH_BITS = _HASH_PX * _HASH_PX

_MEASURE_PX = 128  # faces are brought down to this height, so that equal photos of any size measure the same
_REBLUR_PX = 9
_CLIPPED_LEVEL = 252


@dataclass(frozen=True)
class Quality:
    """What was measured of a face.

    Attributes:
        face_px: Height of the face in the photo, in pixels.
        blur: 0 sharp to 1 without any detail (after Crété-Roffet et al. 2007: how little a further blur changes).
        brightness: Grey level that the brightest tenth of the face reaches, 0 to 1.
        clipped: Share of the face that is burnt out to white, 0 to 1.
        turn: How far the nose is to one side of the eyes' middle, in eye distances: 0 from the front, negative to the
            viewer's left. None without landmarks.
        tilt: Angle of the line through the eyes, in degrees, clockwise positive. None without landmarks.
        hidden: Share of the face that is covered by something, 0 to 1. None where that cannot be told.
    """

    face_px: float
    blur: float
    brightness: float
    clipped: float
    turn: float | None
    tilt: float | None
    hidden: float | None


def measure_face(image: Image.Image, face: Face, photo_px: float, outline: Image.Image | None = None) -> Quality:
    """Measure a face.

    Args:
        image: The training crop, RGB.
        face: In pixels of the crop.
        photo_px: Height of the face in the photo.
        outline: The visible face, as `FaceFinder.outline` tells it for the crop.
    """
    box = face.box
    area = (round(box.x), round(box.y), round(box.x + box.width), round(box.y + box.height))
    grey = image.crop(area).convert("L")
    if grey.height > _MEASURE_PX:
        grey = grey.resize((max(round(grey.width * _MEASURE_PX / grey.height), 1), _MEASURE_PX), Image.Resampling.BOX)
    levels = np.asarray(grey, dtype=np.float64)
    turn, tilt = _pose(face)
    return Quality(
        face_px=photo_px,
        blur=blur_of(levels),
        brightness=float(np.quantile(levels, 0.9)) / 255 if levels.size else 0.0,
        clipped=float((levels >= _CLIPPED_LEVEL).mean()) if levels.size else 0.0,
        turn=turn,
        tilt=tilt,
        hidden=None if outline is None else _hidden(outline, face),
    )


def blur_of(levels: NDArray[np.float64]) -> float:
    """Blur of a grey picture (H, W), 0 sharp to 1 without any detail: the blurrier of its two directions."""
    return max((_blur_along(levels), _blur_along(levels.T)))


def likeness_hash(image: Image.Image) -> int:
    """A number of HASH_BITS bits that differs in few of them between near copies of one photo.

    Each bit says whether the picture gets brighter from one cell of a coarse grid to the next; size, compression and
    brightness hardly change that.
    """
    small = image.convert("L").resize((_HASH_PX + 1, _HASH_PX), Image.Resampling.BOX)
    levels = np.asarray(small, dtype=np.int16)
    bits = (levels[:, 1:] > levels[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_distance(first: int, second: int) -> int:
    """In how many bits two hashes differ."""
    return (first ^ second).bit_count()


def shrunk(image: Image.Image, longest_px: int) -> Image.Image:
    """An RGB picture brought down to a longest side, with antialiasing, quickly; smaller pictures stay as they are."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    scale = longest_px / max(rgb.size)
    if scale >= 1:
        return rgb.copy()
    size = (max(round(rgb.width * scale), 1), max(round(rgb.height * scale), 1))
    # Whole pixels are averaged first, which costs little; what is left to do is less than a halving.
    return rgb.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.01)


def _blur_along(levels: NDArray[np.float64]) -> float:
    """Along the rows."""
    if levels.shape[1] < _REBLUR_PX + 1:
        return 1.0
    ends = np.pad(levels, ((0, 0), (_REBLUR_PX // 2, _REBLUR_PX // 2)), mode="edge")
    sums = np.cumsum(np.pad(ends, ((0, 0), (1, 0))), axis=1)
    blurred = (sums[:, _REBLUR_PX:] - sums[:, :-_REBLUR_PX]) / _REBLUR_PX
    before, after = np.abs(np.diff(levels, axis=1)), np.abs(np.diff(blurred, axis=1))
    total = before.sum()
    return 1.0 if total == 0 else float(1 - np.maximum(before - after, 0).sum() / total)


def _pose(face: Face) -> tuple[float | None, float | None]:
    if len(face.landmarks) < 3:
        return None, None
    left, right, nose = (complex(*point) for point in face.landmarks[:3])
    eyes = right - left
    if abs(eyes) < 1e-6:
        return None, None
    # Seen along the line through the eyes, so that a tilted head does not count as a turned one.
    aside = ((nose - (left + right) / 2) / eyes).real
    return float(aside), math.degrees(math.atan2(eyes.imag, eyes.real))


def _hidden(outline: Image.Image, face: Face) -> float:
    """Share of an oval well inside of the face box that does not show the face."""
    box = face.box
    y, x = np.mgrid[: outline.height, : outline.width] + 0.5
    across = (x - box.center[0]) / (0.38 * box.width)
    down = (y - (box.y + 0.55 * box.height)) / (0.38 * box.height)
    oval = across**2 + down**2 <= 1
    return float((np.asarray(outline)[oval] < 128).mean()) if oval.any() else 0.0

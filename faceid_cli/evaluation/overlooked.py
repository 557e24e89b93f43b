"""What judges overlook, from the pixels alone: faces that are blurred, and one face pasted into every picture.

A recogniser forgives blur, and scores a pasted photo as the best likeness there is. `benchmarks/judge_attacks.py`
measures both, and these scores find them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceid_cli.faces.quality import blur_of
from faceid_cli.types import Box, Face

if TYPE_CHECKING:
    from faceid_cli.evaluation.picture import ScoredPicture

Levels = NDArray[np.float64]

HEIGHTS = (40, 80, 160)
"""Face heights in pixels at which detail is measured: what is compared must be of one size."""

LEAST_SHARPNESS, LEAST_FACE_SPREAD = 0.65, 0.13
"""Below them something is wrong. Measured by benchmarks/judge_attacks.py: true drawings have a sharpness of 1.0, and of
0.5 when they are blurred by a twentieth of the face's height. Of ten people, plain snapshots have a face spread of 0.16
at least, and pictures with the head of one photo pasted in of 0.11 at most."""

_COMPARED_PX = 24
_SHIFTS, _SCALES = (-0.1, -0.05, 0.0, 0.05, 0.1), (0.88, 0.94, 1.0, 1.06, 1.12)


def face_details(image: Image.Image, face: Face) -> dict[int, float]:
    """How much detail a face has, 0 to 1, by the height in pixels it was brought down to.

    Heights beyond the face's own are left out; of a face smaller than all of them, the smallest holds what there is.
    """
    grey = _grey_face(image, face)
    if min(grey.size) < 2:
        return {}
    found: dict[int, float] = {}
    for height in HEIGHTS:
        if height > grey.height and found:
            break
        levels = grey
        if height < grey.height:
            width = max(round(grey.width * height / grey.height), 1)
            levels = grey.resize((width, height), Image.Resampling.BOX)
        found[height] = 1 - blur_of(np.asarray(levels, dtype=np.float64))
    return found


def mean_details(found: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """The mean detail of several faces, at the heights that all of them have."""
    common = [height for height in HEIGHTS if found and all(height in each for each in found)]
    return {height: float(np.mean([each[height] for each in found])) for height in common}


def sharpness(details: Mapping[int, float], photos: Mapping[int, float]) -> float | None:
    """Detail of a face as a share of that of the person's photos, at the greatest height both have; None without."""
    common = [height for height in HEIGHTS if height in details and photos.get(height, 0.0) > 0]
    return details[common[-1]] / photos[common[-1]] if common else None


def face_spread(pictures: Sequence[ScoredPicture]) -> float | None:
    """How different the faces of two pictures are, on average: 0 for one face pasted into all, 1 for unrelated ones.

    One minus the correlation of their grey levels, where one face is moved and resized a little over the other until
    they agree best, so that it does not matter where exactly the judge sees them. Pictures of one person are much alike
    and yet never the same: heads tilt, eyes turn, mouths open. None below two faces.
    """
    seen = [(picture.image.convert("L"), picture.face.box) for picture in pictures if picture.face is not None]
    centred = np.stack([_levels(grey, box) for grey, box in seen]) if seen else np.zeros((0, 1))
    known = [place for place, levels in enumerate(centred) if levels.any()]  # an even face is like none
    if len(known) < 2:
        return None
    best = np.zeros((len(known), len(known)))
    for row, place in enumerate(known):
        grey, box = seen[place]
        moved = [_levels(grey, box, x, y, scale) for x in _SHIFTS for y in _SHIFTS for scale in _SCALES]
        best[row] = (np.stack(moved) @ centred[known].T).max(axis=0)
    either_way = np.maximum(best, best.T)[np.triu_indices(len(known), 1)]
    return max(float((1 - either_way).mean()), 0.0)


def _grey_face(image: Image.Image, face: Face) -> Image.Image:
    box = face.box
    left, top = max(round(box.x), 0), max(round(box.y), 0)
    right, bottom = min(round(box.x + box.width), image.width), min(round(box.y + box.height), image.height)
    return image.crop((left, top, max(right, left), max(bottom, top))).convert("L")


def _levels(grey: Image.Image, box: Box, aside: float = 0.0, down: float = 0.0, scale: float = 1.0) -> Levels:
    """Grey levels at a face box, moved by shares of it and resized, (24 * 24,) of mean 0 and length 1; 0 if even."""
    width, height = box.width * scale, box.height * scale
    left = box.center[0] + aside * box.width - width / 2
    top = box.center[1] + down * box.height - height / 2
    affine = (width / _COMPARED_PX, 0, left, 0, height / _COMPARED_PX, top)
    cut = grey.transform((_COMPARED_PX,) * 2, Image.Transform.AFFINE, affine, resample=Image.Resampling.BILINEAR)
    levels = np.asarray(cut, dtype=np.float64).ravel()
    away = levels - levels.mean()
    length = float(np.linalg.norm(away))
    return away / length if length > 1e-6 else np.zeros_like(away)

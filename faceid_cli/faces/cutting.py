"""How photos become crops: what the user can choose, and the cut itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from faceid_cli.errors import UsageError
from faceid_cli.faces.crop import Framing, checked_box, checked_word, crop_face, whole_crop
from faceid_cli.faces.finder import FaceFinder
from faceid_cli.types import Box, Face, FaceCrop, Photo

AUTO = "auto"
"""Choose the face by who appears in most of the photos; every other word is for `crop.choose_face`."""

_LEAST_FRAMED_SHARE = 0.25
_PLAIN = Framing()
_JITTER_SIZE, _JITTER_PLACE = 0.12, 0.05


@dataclass(frozen=True)
class IntakeOptions:
    """How photos become crops.

    Attributes:
        size_px: Side of the crops: the base model's resolution.
        which: Which face where photos show several: AUTO, or a word of `choose_face`.
        detect: False takes the middle of every photo whole, with no face in the crop; `jitter` moves within it.
        box: The face box, given by hand, in pixels of the upright photo; for a single photo.
        strict: Stop at the first photo that cannot be used, instead of leaving it out.
        keep_poor: Keep near copies and poor photos, too.
        face_share: Height of the face as a share of the crop; None keeps drawings that are portraits already as they
            are, and gives every other face the default room.
        jitter: Further crops of each photo, moved and resized a little at random.
        seed: Of that chance.
    """

    size_px: int
    which: str | int = AUTO
    detect: bool = True
    box: Box | None = None
    strict: bool = False
    keep_poor: bool = False
    face_share: float | None = None
    jitter: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.which != AUTO:
            checked_word(self.which)
        if self.face_share is not None and not 0.1 <= self.face_share <= 1:
            raise UsageError(f"the face's share of the crop is {self.face_share:g}", "use 0.1 to 1")
        if not 0 <= self.jitter <= 100:
            raise UsageError(f"there cannot be {self.jitter} jittered crops of a photo", "use 0 to 100")


def cut_crop(
    photo: Photo,
    faces: Sequence[Face],
    chosen: int | None,
    finder: FaceFinder | None,
    options: IntakeOptions,
    framing: Framing = _PLAIN,
) -> FaceCrop:
    """Cut a photo as the options say.

    Args:
        photo: The decoded photo, upright.
        faces: All of its faces.
        chosen: Index of the one that is meant, or None.
        finder: What found them; None where nothing was looked for.
        options: Size of the crop, whether faces count, a box, and the face's share of the crop.
        framing: How the face lies in the crop, before the options' own share of it.

    Raises:
        PhotoError: A box that does not lie in the photo, or a face too small to learn from.
    """
    shaken, whole_framing = framing != _PLAIN, framing
    if options.face_share is not None:
        framing = replace(framing, face_share=options.face_share * framing.face_share / _PLAIN.face_share)
    if options.box is not None:
        face = checked_box(options.box, photo)
        return crop_face(photo, face, options.size_px, _closer(framing, photo, face) if shaken else framing)
    if finder is None or chosen is None:
        return whole_crop(photo, options.size_px, framing=whole_framing)
    face = faces[chosen]
    if shaken:
        framing = _closer(framing, photo, face)
    untouched = not shaken and options.face_share is None
    if finder.is_drawn_world and untouched and len(faces) == 1 and _is_framed(photo, face):
        return whole_crop(photo, options.size_px, face)
    others = [other for index, other in enumerate(faces) if index != chosen]
    return crop_face(photo, face, options.size_px, framing, others)


def shaken(random: np.random.Generator) -> Framing:
    """A framing a little off the plain one."""
    size, aside, down = random.uniform(-1, 1, 3)
    share = _PLAIN.face_share * (1 + _JITTER_SIZE * float(size))
    return Framing(share, _JITTER_PLACE * float(aside), _JITTER_PLACE * float(down))


def _closer(framing: Framing, photo: Photo, face: Face) -> Framing:
    """The framing, mirrored to the near side where the photo has no room for it: cut off, all would be the same."""
    tightest = max(face.box.height, face.box.width) / min(photo.image.size)
    return replace(framing, face_share=max(framing.face_share, 2 * tightest - framing.face_share))


def _is_framed(photo: Photo, face: Face) -> bool:
    """Whether a drawing is a whole portrait already, as the built-in model was trained on: square, the face large."""
    width, height = photo.image.size
    return abs(width - height) <= 0.01 * width and face.box.height >= _LEAST_FRAMED_SHARE * height

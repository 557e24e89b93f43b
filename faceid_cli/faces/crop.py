"""Choosing a face and cutting it out: square, upright as the photo is, never stretched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from faceid_cli.errors import NoFaceError, PhotoError, SeveralFacesError, UsageError
from faceid_cli.types import Box, Face, FaceCrop, Photo

FACE_SHARE = 0.35
"""Height of the face box as a share of the crop: leaves room for hair, neck and shoulders.

The best of those that benchmarks/face_share.py tried, on drawings."""

MOST_FACE_SHARE = 0.7
"""How large a face may become in a crop before the photo is extended beyond its edges instead."""

LEAST_FACE_PX = 24
"""Faces lower than this hold too little detail to learn from."""

_MOST_EXTENDED_PX = 4096
"""Side of a square that goes beyond a photo's edges; that of a long strip could be many times larger than the strip."""

_FACE_MIDDLE = 0.46
_REDUCING_GAP = 1.25
_WORDS = ("only", "largest", "left", "right")

# A head is so much wider and higher than its face; the room is shared alike by left and right, and mostly above.
_HEAD_WIDTH, _HEAD_HEIGHT, _HEAD_ABOVE = 1.5, 1.6, 0.42


@dataclass(frozen=True)
class Framing:
    """How a face lies in its crop.

    Attributes:
        face_share: Height of the face as a share of the crop, 0 to 1.
        aside: How far the crop is moved to the right, as a share of its side.
        down: How far it is moved down, as a share of its side.
    """

    face_share: float = FACE_SHARE
    aside: float = 0.0
    down: float = 0.0


def choose_face(faces: Sequence[Face], which: str | int = "only", source: str = "the picture") -> Face:
    """Choose one of the faces found in a picture.

    Args:
        faces: In any order.
        which: "only" (there must be just one), "largest", "left", "right", or its number from the left, from 1.
        source: What the picture is called in messages.

    Raises:
        NoFaceError: No faces.
        SeveralFacesError: "only", and there are several; or a number beyond them.
        UsageError: Another word.
    """
    word = checked_word(which)
    if not faces:
        raise NoFaceError(f"no face in {source}", "leave it out, mark the face with --box, or use --no-detect")
    ordered = sorted(faces, key=lambda face: face.box.center[0])
    if word == "only":
        if len(ordered) > 1:
            raise SeveralFacesError(
                f"{len(ordered)} faces in {source}",
                f"choose one with --face largest, left, right or 1 to {len(ordered)} (from the left)",
            )
        return ordered[0]
    if word == "largest":
        return max(ordered, key=lambda face: face.box.area)
    if word.isdecimal():
        if not 1 <= int(word) <= len(ordered):
            raise SeveralFacesError(
                f"there is no face {int(word)} among the {len(ordered)} in {source}",
                f"faces are numbered from the left, 1 to {len(ordered)}",
            )
        return ordered[int(word) - 1]
    return ordered[0] if word == "left" else ordered[-1]


def checked_word(which: str | int) -> str:
    """Return a word of `choose_face`, or a number as one, as it is compared.

    Raises:
        UsageError: Another word.
    """
    word = which.strip().lower() if isinstance(which, str) else str(which)
    if word not in _WORDS and not word.isdecimal():
        raise UsageError(f"cannot choose face {which!r}", f"use {', '.join(_WORDS)}, or a number from the left")
    return word


def crop_face(
    photo: Photo, face: Face, size_px: int, framing: Framing = Framing(), others: Sequence[Face] = ()
) -> FaceCrop:
    """Cut a square around a face, with room for hair and shoulders, and resize it with antialiasing.

    Where the photo is too small for that room, the crop comes closer, up to MOST_FACE_SHARE; only then are the
    photo's edges extended (blurred, so that they teach no pattern).

    Args:
        photo: The whole photo.
        face: In pixels of the photo.
        size_px: Side of the crop.
        framing: How the face lies in the crop.
        others: Faces of other people in the photo; where the crop shows their heads is noted in it.

    Raises:
        NoFaceError: The face is too small to learn from.
    """
    if face.box.height < LEAST_FACE_PX:
        raise NoFaceError(
            f"the face in {photo.path} is only {face.box.height:.0f} px high",
            f"give a photo in which it is {LEAST_FACE_PX} px or more",
        )
    width, height = photo.image.size
    extent = max(face.box.height, face.box.width)
    side = max(min(extent / framing.face_share, width, height), extent / MOST_FACE_SHARE)
    center_x, center_y = face.box.center
    left = _within(center_x - side * (0.5 - framing.aside), side, width)
    top = _within(center_y - side * (_FACE_MIDDLE - framing.down), side, height)
    crop = _cut(photo, face, Box(left, top, side, side), size_px)
    heads = [head_box(_moved(other, Box(left, top, side, side), size_px)) for other in others]
    return replace(crop, others=tuple(box for head in heads if (box := _inside(head, size_px)) is not None))


def head_box(face: Face) -> Box:
    """The head around a face: with hair, ears and chin."""
    box = face.box
    width, height = box.width * _HEAD_WIDTH, box.height * _HEAD_HEIGHT
    return Box(box.center[0] - width / 2, box.y - _HEAD_ABOVE * box.height, width, height)


def _inside(box: Box, size_px: int) -> Box | None:
    """What of a box lies in the crop."""
    left, top = max(box.x, 0.0), max(box.y, 0.0)
    width, height = min(box.x + box.width, size_px) - left, min(box.y + box.height, size_px) - top
    return Box(left, top, width, height) if width > 0 and height > 0 else None


def whole_crop(photo: Photo, size_px: int, face: Face | None = None, framing: Framing = Framing()) -> FaceCrop:
    """The largest square from the middle of the photo, resized; all of it where the photo is square.

    Another framing than the plain one comes closer, and moves the square. There is no more room to step back into, so a
    framing for that comes closer by as much.
    """
    width, height = photo.image.size
    side = min(width, height) / (1 + abs(framing.face_share / FACE_SHARE - 1))
    left = _within((width - side) / 2 + side * framing.aside, side, width)
    top = _within((height - side) / 2 + side * framing.down, side, height)
    return _cut(photo, face, Box(left, top, side, side), size_px)


def checked_box(box: Box, photo: Photo) -> Face:
    """A face box given by hand, as a face without landmarks.

    Raises:
        PhotoError: It does not lie in the photo.
    """
    width, height = photo.image.size
    inside = box.x >= 0 and box.y >= 0 and box.x + box.width <= width and box.y + box.height <= height
    if not inside or box.width <= 0 or box.height <= 0:
        raise PhotoError(
            f"the box {box.x:g},{box.y:g},{box.width:g},{box.height:g} does not lie in {photo.path}",
            f"boxes are left,top,width,height in pixels of the upright photo, which is {width} x {height}",
        )
    return Face(box, (), 1.0)


def _within(start: float, side: float, length: int) -> float:
    """Shift a square into the photo; one that is larger than the photo is centred over it."""
    if side >= length:
        return (length - side) / 2
    return min(max(start, 0.0), length - side)


def _cut(photo: Photo, face: Face | None, square: Box, size_px: int) -> FaceCrop:
    image, whole = photo.image, square
    if (share := _MOST_EXTENDED_PX / square.width) < 1 and not _is_inside(square, image):
        image = image.resize((max(round(image.width * share), 1), max(round(image.height * share), 1)))
        square = Box(square.x * share, square.y * share, square.width * share, square.height * share)
    image, offset_x, offset_y = _extended(image, square)
    region = (
        square.x + offset_x,
        square.y + offset_y,
        min(square.x + offset_x + square.width, image.width),
        min(square.y + offset_y + square.height, image.height),
    )
    # From twice the size on, whole pixels are averaged first: half the time, and hardly to be told from without.
    pixels = image.resize((size_px, size_px), Image.Resampling.LANCZOS, box=region, reducing_gap=_REDUCING_GAP)
    return FaceCrop(pixels, _moved(face, whole, size_px) if face else None, photo.sha256, photo.path)


def _is_inside(square: Box, image: Image.Image) -> bool:
    right, bottom = square.x + square.width, square.y + square.height
    return square.x >= 0 and square.y >= 0 and right <= image.width and bottom <= image.height


def _extended(image: Image.Image, square: Box) -> tuple[Image.Image, int, int]:
    """Extend the image so that the square lies in it; returns the offsets of the old image in the new one."""
    left, top = max(math.ceil(-square.x), 0), max(math.ceil(-square.y), 0)
    right = max(math.ceil(square.x + square.width - image.width), 0)
    bottom = max(math.ceil(square.y + square.height - image.height), 0)
    if not (left or top or right or bottom):
        return image, 0, 0
    padded = Image.fromarray(np.pad(np.asarray(image), ((top, bottom), (left, right), (0, 0)), mode="edge"))
    blurred = padded.filter(ImageFilter.GaussianBlur(max(left, top, right, bottom) / 4))
    blurred.paste(image, (left, top))
    return blurred, left, top


def _moved(face: Face, square: Box, size_px: int) -> Face:
    scale = size_px / square.width
    box = face.box
    moved = Box((box.x - square.x) * scale, (box.y - square.y) * scale, box.width * scale, box.height * scale)
    points = tuple(((x - square.x) * scale, (y - square.y) * scale) for x, y in face.landmarks)
    return Face(moved, points, face.score)

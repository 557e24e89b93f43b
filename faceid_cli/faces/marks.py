"""Drawings on photos that show what was seen: boxes, numbers, landmarks, crops and masks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from faceid_cli.types import Box, Face

PAPER = (236, 234, 228)

_CHOSEN, _OTHER, _MASK = (46, 160, 67), (208, 72, 60), (60, 200, 120)

GRADE_COLORS = {"good": _CHOSEN, "fair": (214, 158, 30), "left out": _OTHER}
"""A colour for each verdict."""


def mark_faces(image: Image.Image, faces: Sequence[Face], size: tuple[int, int], chosen: int | None) -> Image.Image:
    """Draw the faces of a photo, numbered from the left, on a smaller copy of it.

    Args:
        image: RGB; the copy.
        faces: In pixels of the photo.
        size: Width and height of the photo.
        chosen: Index of the face that is meant, or None: it comes out green, the others red.
    """
    marked = image.copy()
    draw = ImageDraw.Draw(marked)
    across, down = image.width / size[0], image.height / size[1]
    line = max(round(max(image.size) / 160), 1)
    font = ImageFont.load_default(max(max(image.size) // 16, 10))
    for number, face in enumerate(faces, start=1):
        color = _CHOSEN if number - 1 == chosen else _OTHER
        left, top = face.box.x * across, face.box.y * down
        draw.rectangle(_corners(face.box, across, down), outline=color, width=line)
        dot = min(line, max(round(face.box.width * across / 20), 1))  # on small faces small dots
        for x, y in face.landmarks:
            draw.ellipse((x * across - dot, y * down - dot, x * across + dot, y * down + dot), fill=color)
        _label(draw, font, str(number), (left, top, face.box.height * down), color, line)
    return marked


def mark_crop(image: Image.Image, face: Face | None, mask: Image.Image | None, others: Sequence[Box]) -> Image.Image:
    """Draw on a training crop where the face and its landmarks are, what the mask covers, and what is not learned.

    Args:
        image: The crop, RGB.
        face: In pixels of the crop.
        mask: The visible face, mode "L".
        others: Heads of other people: they come out crossed.
    """
    marked = image.convert("RGB")
    if mask is not None:
        green = Image.blend(marked, Image.new("RGB", marked.size, _MASK), 0.3)
        marked = Image.composite(green, marked, mask)
    draw = ImageDraw.Draw(marked)
    line = max(image.width // 100, 1)
    for box in others:
        corners = _corners(box, 1, 1)
        draw.rectangle(corners, outline=_OTHER, width=line)
        draw.line(corners, fill=_OTHER, width=line)
    if face is not None:
        draw.rectangle(_corners(face.box, 1, 1), outline=_CHOSEN, width=line)
        for x, y in face.landmarks:
            draw.ellipse((x - line, y - line, x + line, y + line), fill=_CHOSEN)
    return marked


def beside(first: Image.Image, second: Image.Image | None, side: int, color: tuple[int, int, int]) -> Image.Image:
    """Two pictures side by side, each fitted into a square of that side, with a line in a colour along the top."""
    both = Image.new("RGB", (2 * side, side), PAPER)
    for left, image in ((0, first), (side, second)):
        if image is not None:
            fitted = _fitted(image, side)
            both.paste(fitted, (left + (side - fitted.width) // 2, (side - fitted.height) // 2))
    ImageDraw.Draw(both).rectangle((0, 0, 2 * side, side // 60), fill=color)
    return both


def close_ups(image: Image.Image, faces: Sequence[Face], side: int) -> Image.Image:
    """The faces of a photo one by one, large and numbered from the left, in a square of that side.

    Args:
        image: The photo itself, RGB: small copies have too few pixels for this.
        faces: In its pixels.
        side: Of the square, in pixels.
    """
    columns = max(math.ceil(math.sqrt(len(faces))), 1)
    cell = side // columns
    grid = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(grid)
    font = ImageFont.load_default(max(cell // 7, 10))
    for index, face in enumerate(faces):
        half = 0.75 * max(face.box.width, face.box.height)
        x, y = face.box.center
        left, top = index % columns * cell, index // columns * cell
        shown = image.crop((round(x - half), round(y - half), round(x + half), round(y + half)))
        grid.paste(shown.resize((cell, cell), Image.Resampling.LANCZOS), (left, top))
        _label(draw, font, str(index + 1), (left, top, 0), _OTHER, max(cell // 90, 1), inside=True)
    return grid


def oval_mask(size: tuple[int, int], face: Face) -> Image.Image:
    """The oval in the face box, for faces whose outline is not known; mode "L"."""
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).ellipse(_corners(face.box, 1, 1), fill=255)
    return mask


def _corners(box: Box, across: float, down: float) -> tuple[float, float, float, float]:
    return box.x * across, box.y * down, (box.x + box.width) * across, (box.y + box.height) * down


def _fitted(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return image.resize(size, Image.Resampling.LANCZOS)


def _label(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    text: str,
    place: tuple[float, float, float],
    color: tuple[int, int, int],
    line: int,
    inside: bool = False,
) -> None:
    """Write a number above a box, or below it where the picture ends there: on the box it would hide a small face.

    Args:
        place: Left, top and height of the box.
        inside: Write it into the corner after all.
    """
    left, top, height = place
    bounds = draw.textbbox((0, 0), text, font=font)
    wide, high = bounds[2] + 4 * line, bounds[3] + 2 * line
    y = top if inside else top - high
    if y < 0:
        y = top + height
    draw.rectangle((left, y, left + wide, y + high), fill=color)
    draw.text((left + 2 * line, y + line), text, fill=(255, 255, 255), font=font)

"""Drawings on photos that show what was seen: boxes, numbers, landmarks, crops and masks."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from faceid_cli.types import Box, Face

_CHOSEN, _OTHER, _MASK = (46, 160, 67), (208, 72, 60), (60, 200, 120)


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
        for x, y in face.landmarks:
            draw.ellipse((x * across - line, y * down - line, x * across + line, y * down + line), fill=color)
        label = draw.textbbox((left + 2 * line, top + line), str(number), font=font)
        draw.rectangle((left, top, label[2] + 2 * line, label[3] + line), fill=color)
        draw.text((left + 2 * line, top + line), str(number), fill=(255, 255, 255), font=font)
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


def beside(first: Image.Image, second: Image.Image) -> Image.Image:
    """Two pictures side by side, each fitted into half of a picture twice as wide as it is high."""
    side = max(*first.size, *second.size)
    both = Image.new("RGB", (2 * side, side), (236, 234, 228))
    for left, image in ((0, first), (side, second)):
        scale = side / max(image.size)
        fitted = image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)))
        both.paste(fitted, (left + (side - fitted.width) // 2, (side - fitted.height) // 2))
    return both


def oval_mask(size: tuple[int, int], face: Face) -> Image.Image:
    """The oval in the face box, for faces whose outline is not known; mode "L"."""
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).ellipse(_corners(face.box, 1, 1), fill=255)
    return mask


def _corners(box: Box, across: float, down: float) -> tuple[float, float, float, float]:
    return box.x * across, box.y * down, (box.x + box.width) * across, (box.y + box.height) * down

"""Several pictures on one sheet, with captions. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_PAPER = (250, 249, 246)
_INK = (58, 56, 52)
_MAX_LINES = 3


def contact_sheet(
    images: Sequence[Image.Image],
    captions: Sequence[str] = (),
    columns: int | None = None,
    cell_px: int | tuple[int, int] | None = None,
    font_px: int | None = None,
) -> Image.Image:
    """Lay out pictures in rows on light paper, each with its caption below; the aspect of every picture is kept.

    Args:
        images: At least one picture.
        captions: One for each picture, or none at all; long ones are cut after three lines.
        columns: Pictures in a row; by default the sheet comes out roughly square.
        cell_px: Side of the square, or width and height of the rectangle, that each picture is fitted into; by default
            the longest side among them.
        font_px: Height of the captions' letters; by default it follows the cells.

    Raises:
        ValueError: No pictures, or a number of captions that does not fit.
    """
    if not images or (captions and len(captions) != len(images)):
        raise ValueError(f"{len(images)} pictures with {len(captions)} captions")
    side = cell_px or max(max(image.size) for image in images)
    wide, high = (side, side) if isinstance(side, int) else side
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    margin = max(min(wide, high) // 16, 4)
    font_px = font_px or max(min(wide, high) // 14, 11)
    font = ImageFont.load_default(font_px)
    lines = [_wrap(caption, font, wide) for caption in captions]
    line_px = round(font_px * 1.25) if lines else 0
    caption_px = max((len(wrapped) for wrapped in lines), default=0) * line_px + (margin // 2 if lines else 0)
    rows = math.ceil(len(images) / columns)
    step_x, step_y = wide + margin, high + caption_px + margin
    sheet = Image.new("RGB", (columns * step_x + margin, rows * step_y + margin), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, image in enumerate(images):
        left, top = margin + index % columns * step_x, margin + index // columns * step_y
        fitted = _fit(image, wide, high)
        sheet.paste(fitted, (left + (wide - fitted.width) // 2, top + (high - fitted.height) // 2))
        for number, line in enumerate(lines[index] if lines else ()):
            draw.text((left, top + high + margin // 2 + number * line_px), line, fill=_INK, font=font)
    return sheet


def _fit(image: Image.Image, wide: int, high: int) -> Image.Image:
    scale = min(wide / image.width, high / image.height)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    rgb = image.convert("RGB")
    return rgb if size == image.size else rgb.resize(size, Image.Resampling.LANCZOS)


def _wrap(caption: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines: list[str] = []
    for word in caption.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > _MAX_LINES:
        lines = lines[:_MAX_LINES]
        lines[-1] += "…"
    return [_cut(line, font, width) for line in lines]


def _cut(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    while len(line) > 1 and font.getlength(line) > width:
        line = line[:-2] + "…"
    return line

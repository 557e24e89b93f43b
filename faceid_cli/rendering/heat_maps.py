"""A labelled figure of heat maps over a picture: a row a word, a column a stage, and the average. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Heat = NDArray[np.floating]
"""How much each pixel of a picture attends to a word, (height, width), not negative."""

_PAPER, _INK, _FAINT = (250, 249, 246), (58, 56, 52), (150, 146, 140)
# From no attention to the most: dark blue, purple, orange, light yellow.
_RAMP = np.array([[14, 12, 58], [98, 24, 118], [206, 66, 76], [250, 158, 59], [252, 246, 180]], dtype=np.float64)
_STRENGTH = 0.68


@dataclass(frozen=True)
class HeatRow:
    """A word's row.

    Attributes:
        label: The word, as written to the left of its row.
        cells: Heat maps of the columns; None where there is nothing to show.
        notes: A line below each cell; may be empty.
    """

    label: str
    cells: Sequence[Heat | None]
    notes: Sequence[str] = ()


def heat_figure(
    picture: Image.Image, columns: Sequence[str], rows: Sequence[HeatRow], title: str = "", cell_px: int = 192
) -> Image.Image:
    """Lay heat maps over a picture. Colours of one row share one scale, so that its columns can be compared.

    Args:
        picture: What was rendered; its aspect is kept.
        columns: Headings of the cells.
        rows: One a word; as many cells as columns.
        title: A line above the figure; "" for none.
        cell_px: Longest side of a cell, in pixels.

    Raises:
        ValueError: No rows, or cells that do not fit the columns or the picture.
    """
    _check(picture, columns, rows)
    scale = cell_px / max(picture.size)
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    font_px = max(cell_px // 13, 11)
    font, margin, line = ImageFont.load_default(font_px), max(cell_px // 16, 6), round(font_px * 1.5)
    label_px = round(max(font.getlength(row.label) for row in rows)) + 2 * margin
    top = margin + (line if title else 0) + line
    step_x, step_y = size[0] + margin, size[1] + line + margin
    sheet = Image.new("RGB", (label_px + (len(columns) + 1) * step_x, top + len(rows) * step_y + margin), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((margin, margin // 2), title, fill=_INK, font=font)
    for column, heading in enumerate(("picture", *columns)):
        draw.text((label_px + column * step_x, top - line), heading, fill=_INK, font=font)
    for number, row in enumerate(rows):
        y = top + number * step_y
        draw.text((margin, y + size[1] // 2), row.label, fill=_INK, font=font)
        if number == 0:
            sheet.paste(small, (label_px, y))
        shown = [cell for cell in row.cells if cell is not None]
        span = min((float(c.min()) for c in shown), default=0.0), max((float(c.max()) for c in shown), default=0.0)
        for column, cell in enumerate(row.cells):
            x = label_px + (column + 1) * step_x
            if cell is None:
                draw.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), outline=_FAINT)
                draw.text((x + margin, y + size[1] // 2), "no step", fill=_FAINT, font=font)
            else:
                sheet.paste(overlay(small, cell, *span), (x, y))
            if row.notes:
                draw.text((x, y + size[1]), row.notes[column], fill=_INK, font=font)
    return sheet


def overlay(picture: Image.Image, heat: Heat, least: float, most: float) -> Image.Image:
    """A picture under a heat map of the same aspect; `least` and `most` are the ramp's ends."""
    share = np.clip((heat - least) / (most - least), 0, 1) if most > least else np.zeros_like(heat)
    scaled = Image.fromarray(share.astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    level = np.clip(np.asarray(scaled, dtype=np.float64), 0, 1) * (len(_RAMP) - 1)
    low = np.minimum(level.astype(int), len(_RAMP) - 2)
    colours = _RAMP[low] + (_RAMP[low + 1] - _RAMP[low]) * (level - low)[..., None]
    grey = np.asarray(picture.convert("L").convert("RGB"), dtype=np.float64)
    mixed = _STRENGTH * colours + (1 - _STRENGTH) * grey
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def _check(picture: Image.Image, columns: Sequence[str], rows: Sequence[HeatRow]) -> None:
    if not rows:
        raise ValueError("no words to show")
    for row in rows:
        if len(row.cells) != len(columns) or (row.notes and len(row.notes) != len(columns)):
            raise ValueError(f"{len(row.cells)} cells and {len(row.notes)} notes for {len(columns)} columns")
        for cell in row.cells:
            if cell is not None and cell.shape != (picture.height, picture.width):
                raise ValueError(f"a heat map of {cell.shape} over a picture of {picture.height} x {picture.width}")

"""A picture with the regions of its people drawn over it. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from faceid_cli.orders.composing import parse_region

_COLORS = ("#e4572e", "#2e86ab", "#3fa34d", "#8e44ad")
_LEAST_PX = 512


def draw_layout(picture: Image.Image, regions: Sequence[str]) -> Image.Image:
    """Draw "NAME=left,top,right,bottom" each over a picture; a small one is enlarged first.

    Raises:
        UsageError: A region that cannot be read.
    """
    factor = max(_LEAST_PX / max(picture.size), 1.0)
    drawn = picture.convert("RGB").resize((round(picture.width * factor), round(picture.height * factor)))
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(drawn.height / 24)
    for place, text in enumerate(regions):
        name, (left, top, right, bottom) = parse_region(text)
        color = _COLORS[place % len(_COLORS)]
        box = (left * drawn.width, top * drawn.height, right * drawn.width - 1, bottom * drawn.height - 1)
        pen.rectangle(box, outline=color, width=3)
        at = (box[0] + 6, box[1] + 6)
        pen.rectangle(pen.textbbox(at, name, font=font), fill="white")
        pen.text(at, name, fill=color, font=font)
    return drawn

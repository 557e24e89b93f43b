"""Draws pictures of the portrait world as SVG and rasterises them; knows the truth of each picture."""

from __future__ import annotations

import io
from dataclasses import dataclass

import resvg_py
from PIL import Image

from faceid_cli.builtin.draw import svg
from faceid_cli.builtin.draw.body import body
from faceid_cli.builtin.draw.hair import hair
from faceid_cli.builtin.draw.head import face, face_box, landmarks, outline, rotate
from faceid_cli.builtin.draw.headwear import headwear
from faceid_cli.builtin.draw.objects import chess, held
from faceid_cli.builtin.draw.picture import Figure, Picture
from faceid_cli.builtin.draw.scenes import scene
from faceid_cli.types import Box, Face

__all__ = ["Drawing", "Figure", "Picture", "draw", "face_mask", "figure_face"]

UNITS = 128
_LIGHT_TINTS = {
    "daylight": None,
    "sunset light": ("#ff8a3c", 0.24),
    "moonlight": ("#2b4a9c", 0.30),
    "dim light": ("#140f14", 0.34),
}


@dataclass(frozen=True)
class Drawing:
    """A drawn picture and the truth about it; boxes and landmarks in pixels of `image`, one face a figure."""

    image: Image.Image
    picture: Picture
    faces: tuple[Face, ...]


def draw(picture: Picture, size_px: int = 128) -> Drawing:
    """Draw a picture as a square RGB image of size_px, with its faces' boxes and landmarks."""
    image = _rasterise(_svg(picture), size_px)
    return Drawing(image, picture, tuple(figure_face(figure, size_px) for figure in picture.figures))


def face_mask(figure: Figure, size_px: int = 128) -> Image.Image:
    """The head of one figure, without hair, as an 8-bit mask (255 inside), size_px square."""
    shape = svg.group(svg.path(outline(figure.person), "#ffffff"), _transform(figure, tilt=True))
    return _rasterise(_document(svg.rect(0, 0, UNITS, UNITS, "#000000") + shape), size_px).convert("L")


def _svg(picture: Picture) -> str:
    parts = [scene(picture.scene, picture.feature_x, picture.variant)]
    # Smaller figures stand further back.
    order = sorted(range(len(picture.figures)), key=lambda place: picture.figures[place].scale)
    parts += [_figure(picture.figures[place], f"p{place}") for place in order]
    if picture.shared == "chess":
        width = 66 if len(picture.figures) == 1 else 92
        center = sum(figure.x for figure in picture.figures) / len(picture.figures)
        parts.append(svg.group(chess(width), f"translate({center:.2f},115)"))
    tint = _LIGHT_TINTS[picture.light]
    if tint:
        parts.append(svg.rect(0, 0, UNITS, UNITS, tint[0], f'opacity="{tint[1]}"'))
    return _document("".join(parts))


def _figure(figure: Figure, prefix: str) -> str:
    body_definitions, body_shapes = body(figure, prefix)
    hair_definitions, back, front = hair(figure, prefix)
    face_definitions, face_shapes = face(figure, prefix)
    out = f"<defs>{body_definitions}{hair_definitions}{face_definitions}</defs>"
    out += svg.group(back, _transform(figure, tilt=True))
    out += svg.group(body_shapes, _transform(figure, tilt=False))
    out += svg.group(face_shapes + front + headwear(figure), _transform(figure, tilt=True))
    if figure.held:
        out += svg.group(_hand_and_object(figure), _transform(figure, tilt=False))
    return out


def _hand_and_object(figure: Figure) -> str:
    skin = figure.person.skin
    x, y = _hand_place(figure)
    thing = svg.group(held(figure.held or ""), f"translate({x},{y:.1f}) scale(1.12)")
    hand = svg.ellipse(x + figure.hand * 7, y + 10, 6.6, 5.2, svg.color(svg.dark(skin, 0.05)))
    hand += svg.line(
        f"M{x + figure.hand * 3},{y + 8:.1f} h{-4 * figure.hand} M{x + figure.hand * 3},{y + 11:.1f} h{-5 * figure.hand}",
        svg.color(svg.dark(skin, 0.12)),
        2.6,
    )
    return thing + hand


def _hand_place(figure: Figure) -> tuple[float, float]:
    """Where a figure holds something, in its own units; inside the picture whatever the figure's size and place."""
    return figure.hand * 23, min(58.0, (UNITS - 16 - figure.y) / figure.scale)


def held_place(figure: Figure) -> tuple[float, float]:
    """Where a figure holds something, in units of the picture."""
    x, y = _hand_place(figure)
    return figure.x + x * figure.scale, figure.y + y * figure.scale


def figure_face(figure: Figure, size_px: int = UNITS) -> Face:
    """Where a figure's face is, in pixels of a picture of size_px."""
    factor = size_px / UNITS
    left, top, right, bottom = face_box(figure.person)
    corners = [rotate(corner, figure) for corner in ((left, top), (right, top), (left, bottom), (right, bottom))]
    # A tilted head's bounding box would grow; the box follows the middle of its edges instead.
    x, y = sum(c[0] for c in corners) / 4, sum(c[1] for c in corners) / 4
    width, height = (right - left) * figure.scale, (bottom - top) * figure.scale
    box = Box((x - width / 2) * factor, (y - height / 2) * factor, width * factor, height * factor)
    points = tuple(
        (px * factor, py * factor) for px, py in (rotate(point, figure) for point in landmarks(figure.person))
    )
    return Face(box, points, 1.0)


def _transform(figure: Figure, tilt: bool) -> str:
    turn = f" rotate({figure.tilt:.1f})" if tilt else ""
    return f"translate({figure.x:.2f},{figure.y:.2f}) scale({figure.scale:.3f}){turn}"


def _document(content: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {UNITS} {UNITS}">{content}</svg>'


def _rasterise(document: str, size_px: int) -> Image.Image:
    png = resvg_py.svg_to_bytes(svg_string=document, width=size_px, height=size_px)
    return Image.open(io.BytesIO(bytes(png))).convert("RGB")

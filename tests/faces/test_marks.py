"""faces/marks.py: what is drawn lies where it should, and hides nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from faceid_cli.faces.marks import GRADE_COLORS, beside, close_ups, mark_faces
from faceid_cli.types import Box, Face

SIZE = (800, 600)


def _face(x: float, y: float, side: float = 60) -> Face:
    return Face(Box(x, y, side, side), (), 1.0)


@pytest.mark.parametrize("y", [300, 4, 530])
def test_numbers_stand_beside_small_faces_and_not_on_them(y: int) -> None:
    small = Image.new("RGB", (320, 240), (0, 0, 200))
    marked = np.asarray(mark_faces(small, [_face(400, y)], SIZE, 0))
    inside = marked[round(0.4 * y) + 3 : round(0.4 * (y + 60)) - 3, 164:180]
    assert (inside == (0, 0, 200)).all()
    assert (marked == GRADE_COLORS["good"]).all(axis=2).sum() > 100  # the frame and the number are there


def test_close_ups_are_large_and_in_the_order_of_the_faces() -> None:
    photo = Image.new("RGB", SIZE)
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    faces = [_face(100, 200), _face(300, 10), _face(740, 500)]
    for face, color in zip(faces, colors, strict=True):
        photo.paste(color, (round(face.box.x), round(face.box.y), round(face.box.x) + 60, round(face.box.y) + 60))
    grid = close_ups(photo, faces, 360)
    assert grid.size == (360, 360)
    assert [grid.getpixel(place) for place in ((90, 90), (270, 90), (90, 270))] == colors
    assert close_ups(photo, [], 360).size == (360, 360)


def test_two_pictures_of_any_shape_side_by_side_under_a_line() -> None:
    wide, high = Image.new("RGB", (400, 100), (9, 9, 9)), Image.new("RGB", (10, 40), (200, 9, 9))
    both = beside(wide, high, 120, (0, 128, 0))
    assert both.size == (240, 120)
    assert both.getpixel((60, 60)) == (9, 9, 9)
    assert both.getpixel((180, 60)) == (200, 9, 9)
    assert both.getpixel((60, 30)) == both.getpixel((140, 60))  # paper: no picture is stretched
    assert both.getpixel((120, 0)) == (0, 128, 0)
    assert beside(wide, None, 120, (0, 128, 0)).getpixel((180, 60)) == both.getpixel((140, 60))

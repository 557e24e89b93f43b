"""faces/crop.py: which face, and that the crop shows it unstretched where it says it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from faceid_cli.errors import NoFaceError, PhotoError, SeveralFacesError, UsageError
from faceid_cli.faces.crop import FACE_SHARE, checked_box, choose_face, crop_face, whole_crop
from faceid_cli.types import Box, Face, FaceCrop, Photo


def _face(x: float, y: float, width: float, height: float) -> Face:
    return Face(Box(x, y, width, height), ((x + width / 2, y + height / 2),), 0.9)


def _photo(size: tuple[int, int], face: Face) -> Photo:
    """A green picture with a white disc as wide as the face box, in its middle, on a dark rim."""
    image = Image.new("RGB", size, (0, 120, 0))
    x, y = face.box.center
    radius = face.box.width / 2
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 255, 255))
    return Photo(Path("photo.png"), image, "00")


def _disc(crop: FaceCrop) -> tuple[float, float, float, float]:
    """Bounds of the white disc: left, top, width, height."""
    rows, columns = np.nonzero(np.asarray(crop.image)[:, :, 0] > 128)
    return columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1


@pytest.mark.parametrize(
    ("size", "face"),
    [
        ((800, 600), _face(350, 200, 100, 120)),
        ((800, 600), _face(10, 10, 100, 120)),
        ((800, 600), _face(690, 470, 100, 120)),
        ((300, 900), _face(100, 700, 100, 120)),
        ((900, 300), _face(30, 20, 200, 260)),
        ((210, 270), _face(5, 5, 200, 260)),
        ((2000, 1500), _face(200.5, 300.5, 60, 80)),
    ],
)
def test_the_face_lies_where_the_crop_says(size: tuple[int, int], face: Face) -> None:
    crop = crop_face(_photo(size, face), face, 128)
    assert crop.image.size == (128, 128)
    assert crop.face is not None
    left, top, width, height = _disc(crop)
    box = crop.face.box
    assert width == pytest.approx(height, abs=1.5)  # nothing is stretched
    assert width == pytest.approx(box.width, abs=1.5)
    assert left + width / 2 == pytest.approx(box.center[0], abs=1)
    assert top + height / 2 == pytest.approx(box.center[1], abs=1)
    assert crop.face.landmarks[0] == pytest.approx(box.center)
    assert box.x >= -0.01
    assert box.y >= -0.01
    assert box.x + box.width <= 128.01
    assert box.y + box.height <= 128.01


def test_there_is_room_around_the_face() -> None:
    face = _face(350, 200, 100, 120)
    crop = crop_face(_photo((800, 600), face), face, 256)
    assert crop.face is not None
    assert crop.face.box.height == pytest.approx(256 * FACE_SHARE)


def test_small_photos_come_closer_and_only_then_are_extended() -> None:
    face = _face(50, 40, 100, 120)
    near = crop_face(_photo((200, 200), face), face, 200)
    assert np.array_equal(near.image, _photo((200, 200), face).image)
    filling = _face(0, 0, 100, 120)
    extended = crop_face(_photo((100, 120), filling), filling, 128)
    assert extended.face is not None
    assert extended.face.box.height == pytest.approx(128 * 0.7)
    assert np.asarray(extended.image)[0, 0].tolist() == pytest.approx([0, 120, 0], abs=3)  # the edge goes on


def test_downscaling_is_antialiased() -> None:
    face = _face(300, 200, 400, 500)
    lines = np.zeros((1000, 1000, 3), dtype=np.uint8)
    lines[:, ::2] = 255
    pixels = np.asarray(crop_face(Photo(Path("p"), Image.fromarray(lines), ""), face, 100).image)
    assert pixels[10:-10, 10:-10].std() < 3


def test_faces_too_small_to_learn_from_are_refused() -> None:
    face = _face(10, 10, 16, 20)
    with pytest.raises(NoFaceError, match=r"the face in photo.png is only 20 px high"):
        crop_face(_photo((100, 100), face), face, 128)


def test_the_whole_photo_without_detection() -> None:
    face = _face(100, 100, 100, 100)
    crop = whole_crop(_photo((400, 300), face), 150)
    assert crop.face is None
    left, top, width, height = _disc(crop)
    assert (left, top) == pytest.approx((25, 50), abs=1)
    assert (width, height) == pytest.approx((50, 50), abs=1)


LEFT, LARGE, RIGHT = _face(0, 0, 20, 20), _face(50, 0, 40, 40), _face(100, 0, 30, 30)


@pytest.mark.parametrize(
    ("which", "expected"),
    [("largest", LARGE), ("left", LEFT), ("right", RIGHT), (1, LEFT), ("2", LARGE), (3, RIGHT), (" Left ", LEFT)],
)
def test_choosing_among_several(which: str | int, expected: Face) -> None:
    assert choose_face([RIGHT, LEFT, LARGE], which) == expected


def test_choices_that_fail_say_what_to_do() -> None:
    assert choose_face([LEFT]) == LEFT
    with pytest.raises(SeveralFacesError) as several:
        choose_face([LEFT, RIGHT], source="party.jpg")
    assert several.value.message == "2 faces in party.jpg"
    assert several.value.hint == "choose one with --face largest, left, right or 1 to 2 (from the left)"
    with pytest.raises(SeveralFacesError, match=r"no face 3 among the 2"):
        choose_face([LEFT, RIGHT], 3)
    with pytest.raises(SeveralFacesError, match=r"no face 0"):
        choose_face([LEFT, RIGHT], "0")
    with pytest.raises(NoFaceError, match=r"no face in wall.jpg"):
        choose_face([], source="wall.jpg")
    with pytest.raises(UsageError, match=r"cannot choose face 'smallest'"):
        choose_face([LEFT], "smallest")


def test_boxes_by_hand_must_lie_in_the_photo() -> None:
    photo = _photo((100, 80), LEFT)
    assert checked_box(Box(0, 0, 100, 80), photo).box == Box(0, 0, 100, 80)
    for box in (Box(-1, 0, 10, 10), Box(95, 0, 10, 10), Box(0, 75, 10, 10), Box(0, 0, 0, 10)):
        with pytest.raises(PhotoError, match=r"does not lie in photo.png") as caught:
            checked_box(box, photo)
        assert "100 x 80" in (caught.value.hint or "")

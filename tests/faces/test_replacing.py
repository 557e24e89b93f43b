"""faces/replacing.py: which face of a picture is to be replaced, and where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.errors import NoFaceError, SeveralFacesError, WrongWorldError
from faceid_cli.faces.finder import FaceFinder, finder_for
from faceid_cli.faces.replacing import face_mask, face_to_replace
from faceid_cli.types import Box, Face, Photo


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return finder_for(builtin=True)


def portrait(number: int) -> Image.Image:
    person = person_from_seed(20_000_000 + number)
    return draw(photo_picture(person, np.random.default_rng(number)), 256).image


def photo(image: Image.Image) -> Photo:
    return Photo(Path("group.png"), image, "")


def side_by_side(*images: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (sum(image.width for image in images), images[0].height))
    for index, image in enumerate(images):
        whole.paste(image, (index * image.width, 0))
    return whole


def test_one_face_is_found_and_of_several_one_is_chosen(finder: FaceFinder) -> None:
    alone = face_to_replace(photo(portrait(0)), finder)
    two = photo(side_by_side(portrait(0), portrait(1)))
    with pytest.raises(SeveralFacesError, match=r"2 faces in group.png") as caught:
        face_to_replace(two, finder)
    assert caught.value.hint is not None
    assert "--face largest, left, right or 1 to 2" in caught.value.hint
    left, right, second = (face_to_replace(two, finder, which) for which in ("left", "right", "2"))
    assert left.box.center == pytest.approx(alone.box.center, abs=12)
    assert left.box.center[0] < 256 < right.box.center[0]
    assert second == right
    with pytest.raises(SeveralFacesError, match=r"no face 3"):
        face_to_replace(two, finder, 3)


def test_pictures_without_a_face_and_photographs_say_what_works_instead(finder: FaceFinder) -> None:
    even = Image.new("RGB", (128, 128), (200, 100, 50))
    with pytest.raises(NoFaceError, match=r"no face in group.png") as caught:
        face_to_replace(photo(even), finder)
    assert caught.value.hint == "paint a mask where it is to be: --init FILE --mask FILE"
    grain = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    with pytest.raises(WrongWorldError, match=r"looks like a photograph"):
        face_to_replace(photo(grain), finder)


def test_without_an_outline_the_mask_is_a_slightly_larger_oval(finder: FaceFinder) -> None:
    face = Face(Box(100, 80, 100, 140), (), 1.0)
    mask = np.asarray(face_mask(Image.new("RGB", (400, 300)), face, finder))
    assert mask.shape == (300, 400)
    assert set(np.unique(mask)) == {0, 255}
    rows, columns = np.nonzero(mask)
    grown = 0.06 * 140
    assert 100 - 2 * grown < columns.min() < 100
    assert 80 - 2 * grown < rows.min() < 80
    assert mask[150, 150] == 255
    assert mask[82, 102] == 0  # a corner of the box


def test_where_there_is_an_outline_the_mask_follows_it() -> None:
    class Outliner:
        is_drawn_world = False
        same_person = 0.3
        can_compare = False

        def outline(self, image: Image.Image, face: Face) -> Image.Image:
            outlined = Image.new("L", image.size, 0)
            ImageDraw.Draw(outlined).rectangle((120, 100, 139, 219), fill=255)
            return outlined

    face = Face(Box(100, 80, 100, 140), (), 1.0)
    mask = np.asarray(face_mask(Image.new("RGB", (400, 300)), face, Outliner()))  # type: ignore[arg-type]
    _, columns = np.nonzero(mask)
    assert 103 < columns.min() < 120
    assert 139 < columns.max() < 156
    assert mask[150, 190] == 0

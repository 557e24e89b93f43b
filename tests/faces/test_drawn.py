"""faces/drawn.py: the judge as a face finder, on drawings it has never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceid_cli.builtin.draw import Drawing, draw
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.sampling import photo_picture, random_picture
from faceid_cli.errors import WrongWorldError
from faceid_cli.evaluation.scores import cosine_similarity
from faceid_cli.faces.cutting import IntakeOptions
from faceid_cli.faces.finder import FaceFinder, finder_for
from faceid_cli.faces.intake import take_in

SHARED_PHOTOS = Path(__file__).parents[3] / "shared" / "photos"


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return finder_for(builtin=True)


def _photo(person: int, seed: int, size_px: int = 512) -> Drawing:
    return draw(photo_picture(person_from_seed(10_000_000 + person), np.random.default_rng(seed)), size_px)


@pytest.mark.parametrize("size_px", [128, 512])
def test_the_face_is_found_where_it_was_drawn(finder: FaceFinder, size_px: int) -> None:
    for seed in range(5):
        drawing = _photo(seed, seed, size_px)
        (face,) = finder.find(drawing.image)
        (truth,) = drawing.faces
        tolerance = 0.15 * truth.box.height
        assert face.box.center == pytest.approx(truth.box.center, abs=tolerance)
        assert face.box.height == pytest.approx(truth.box.height, rel=0.25)
        assert np.abs(np.array(face.landmarks) - truth.landmarks).max() < tolerance


def test_two_people_from_left_to_right(finder: FaceFinder) -> None:
    people = [person_from_seed(10_000_100 + number) for number in range(2)]
    drawing = draw(random_picture(people, np.random.default_rng(0)), 256)
    centers = [face.box.center[0] for face in finder.find(drawing.image)]
    assert centers == pytest.approx([face.box.center[0] for face in drawing.faces], abs=12)


def test_one_person_is_more_like_themselves_than_like_another(finder: FaceFinder) -> None:
    def embedding(person: int, seed: int) -> np.ndarray:
        image = _photo(person, seed).image
        return finder.embed(image, finder.find(image)[0])

    first, again, other = embedding(1, 0), embedding(1, 1), embedding(2, 2)
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-4)
    assert cosine_similarity(first, again) > cosine_similarity(first, other) + 0.2


def test_photo_files_of_a_drawn_person_become_crops(finder: FaceFinder, tmp_path: Path) -> None:
    for seed in range(3):
        _photo(5, seed).image.save(tmp_path / f"{seed}.png")
    crops = take_in([tmp_path], finder, IntakeOptions(128)).crops
    assert [crop.image.size for crop in crops] == [(128, 128)] * 3
    assert all(crop.face is not None for crop in crops)


@pytest.mark.parametrize("name", ["portrait_official.jpg", "two_people.jpg"])
def test_photographs_are_refused_with_a_way_out(finder: FaceFinder, name: str) -> None:
    if not (SHARED_PHOTOS / name).exists():
        pytest.skip("photographs are not on this machine")
    with pytest.raises(WrongWorldError, match=r"looks like a photograph"):
        take_in([SHARED_PHOTOS / name], finder, IntakeOptions(128, strict=True))

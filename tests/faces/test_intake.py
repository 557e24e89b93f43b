"""faces/intake.py: from files to crops, in both worlds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from faceid_cli.errors import NoFaceError, NotAnImageError, SeveralFacesError, UsageError, WrongWorldError
from faceid_cli.faces.crop import FACE_SHARE
from faceid_cli.faces.cutting import IntakeOptions
from faceid_cli.faces.intake import take_in
from faceid_cli.faces.texture import even_share, looks_like_photograph
from faceid_cli.types import Box, Face, FaceCrop

SHARED_PHOTOS = Path(__file__).parents[3] / "shared" / "photos"


class KnownFaces:
    """A finder that knows the faces beforehand, as shares of the picture."""

    def __init__(self, is_drawn_world: bool, *boxes: tuple[float, float, float, float]) -> None:
        self.is_drawn_world = is_drawn_world
        self.same_person = 0.5
        self.can_compare = False
        self.boxes = boxes

    def find(self, image: Image.Image) -> list[Face]:
        w, h = image.size
        return [Face(Box(x * w, y * h, width * w, height * h), (), 1.0) for x, y, width, height in self.boxes]

    def find_all(self, images: Sequence[Image.Image]) -> list[list[Face]]:
        return [self.find(image) for image in images]

    def outline(self, image: Image.Image, face: Face) -> None:
        return None

    def embed(self, image: Image.Image, face: Face) -> NDArray[np.float32]:
        return np.ones(1, dtype=np.float32)


def crops_from_photos(
    paths: Sequence[Path], finder: KnownFaces | None, size_px: int, which: str = "only", **options: Any
) -> Sequence[FaceCrop]:
    """One crop of each photo; stops at the first that cannot be used."""
    return take_in(paths, finder, IntakeOptions(size_px, which, strict=True, keep_poor=True, **options)).crops


def _drawing(size: tuple[int, int] = (512, 512)) -> Image.Image:
    image = Image.new("RGB", size, (90, 140, 200))
    draw = ImageDraw.Draw(image)
    draw.ellipse((size[0] * 0.3, size[1] * 0.2, size[0] * 0.7, size[1] * 0.7), fill=(230, 190, 160))
    draw.rectangle((size[0] * 0.2, size[1] * 0.8, size[0] * 0.8, size[1]), fill=(160, 40, 50))
    return image


def _photograph(size: tuple[int, int] = (512, 512)) -> Image.Image:
    grain = np.random.default_rng(0).normal(0, 12, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(_drawing(size)) + grain).clip(0, 255).astype(np.uint8))


FACE = (0.3, 0.25, 0.4, 0.4)


def test_square_drawings_keep_their_framing(tmp_path: Path) -> None:
    _drawing().save(tmp_path / "a.png")
    (crop,) = crops_from_photos([tmp_path], KnownFaces(True, FACE), 128)
    expected = _drawing().resize((128, 128), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(crop.image, dtype=int) - np.asarray(expected)).mean() < 0.5
    assert crop.face is not None
    assert crop.face.box == Box(*(share * 128 for share in FACE))
    assert crop.photo_path == tmp_path / "a.png"


def test_other_drawings_are_cropped_around_the_face(tmp_path: Path) -> None:
    _drawing((900, 500)).save(tmp_path / "wide.png")
    (crop,) = crops_from_photos([tmp_path], KnownFaces(True, FACE), 128)
    assert crop.face is not None
    assert crop.face.box.width > 0.4 * 128


def test_photos_are_cropped_around_the_chosen_face(tmp_path: Path) -> None:
    _photograph().save(tmp_path / "a.png")
    finder = KnownFaces(False, (0.1, 0.1, 0.1, 0.1), (0.6, 0.1, 0.2, 0.2))
    with pytest.raises(SeveralFacesError, match=r"2 faces in .*a.png"):
        crops_from_photos([tmp_path], finder, 128)
    (crop,) = crops_from_photos([tmp_path], finder, 128, which="largest")
    assert crop.face is not None
    assert crop.face.box.height == pytest.approx(128 * FACE_SHARE)


def test_copies_count_once_and_order_is_kept(tmp_path: Path) -> None:
    _drawing().save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes())
    _drawing((400, 400)).save(tmp_path / "a.png")
    crops = crops_from_photos([tmp_path], KnownFaces(True, FACE), 64)
    assert [crop.photo_path.name for crop in crops] == ["a.png", "b.png"]


@pytest.mark.parametrize("boxes", [(), (FACE,)])
def test_a_photograph_in_the_drawn_world_says_what_to_do(
    tmp_path: Path, boxes: tuple[tuple[float, float, float, float], ...]
) -> None:
    _photograph().save(tmp_path / "holiday.jpg")
    with pytest.raises(WrongWorldError, match=r"holiday.jpg looks like a photograph") as caught:
        crops_from_photos([tmp_path], KnownFaces(True, *boxes), 128)
    assert "faceid config set model" in (caught.value.hint or "")
    assert "--no-detect" in (caught.value.hint or "")
    assert len(crops_from_photos([tmp_path], KnownFaces(True), 128, detect=False)) == 1


def test_a_drawing_without_a_face(tmp_path: Path) -> None:
    _drawing().save(tmp_path / "house.png")
    with pytest.raises(NoFaceError, match=r"no drawn face in .*house.png"):
        crops_from_photos([tmp_path], KnownFaces(True), 128)


def test_a_photo_without_a_face(tmp_path: Path) -> None:
    _photograph().save(tmp_path / "wall.png")
    with pytest.raises(NoFaceError, match=r"no face in .*wall.png"):
        crops_from_photos([tmp_path], KnownFaces(False), 128)


def test_a_box_by_hand_needs_no_finder(tmp_path: Path) -> None:
    _drawing().save(tmp_path / "a.png")
    (crop,) = crops_from_photos([tmp_path / "a.png"], None, 128, box=Box(150, 100, 200, 250))
    assert crop.face is not None
    assert crop.face.box.height == pytest.approx(128 * 250 / 512)
    _drawing((300, 300)).save(tmp_path / "b.png")
    with pytest.raises(UsageError, match=r"one box cannot fit 2 photos"):
        crops_from_photos([tmp_path], None, 128, box=Box(0, 0, 100, 100))
    with pytest.raises(UsageError, match=r"one box cannot fit 2 photos"):  # rather than that the face is too small
        crops_from_photos([tmp_path], None, 128, box=Box(0, 0, 10, 10))


def test_a_bad_file_among_good_ones_is_named(tmp_path: Path) -> None:
    _drawing().save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_text("x")
    with pytest.raises(NotAnImageError, match=r"b.jpg"):
        crops_from_photos([tmp_path], KnownFaces(True, FACE), 128)


def test_texture_separates_drawings_from_photographs() -> None:
    assert even_share(_drawing()) > 0.9
    assert even_share(_photograph()) < 0.1
    assert even_share(Image.new("RGB", (2, 2))) == 1.0
    assert looks_like_photograph(_photograph(), has_drawn_face=True)
    assert not looks_like_photograph(_drawing(), has_drawn_face=False)


@pytest.mark.parametrize("name", ["portrait_official.jpg", "two_people.jpg"])
def test_real_photographs_are_told_from_drawings(name: str) -> None:
    if not (SHARED_PHOTOS / name).exists():
        pytest.skip("photographs are not on this machine")
    with Image.open(SHARED_PHOTOS / name) as image:
        assert looks_like_photograph(image.convert("RGB"), has_drawn_face=True)


@pytest.mark.parametrize("size_px", [128, 512])
def test_portraits_of_the_built_in_world_are_drawings(size_px: int) -> None:
    from faceid_cli.builtin.draw import draw
    from faceid_cli.builtin.people import person_from_seed
    from faceid_cli.builtin.sampling import photo_picture, random_picture

    rng = np.random.default_rng(1)
    for seed in range(6):
        people = [person_from_seed(seed * 3 + place) for place in range(1 + seed % 3)]
        for picture in (photo_picture(people[0], rng), random_picture(people, rng)):
            assert not looks_like_photograph(draw(picture, size_px).image, has_drawn_face=False)

"""A camera roll with everything that goes wrong: nothing crashes, each file has its verdict, the good are used."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from faceid_cli import photo_files as photos
from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.samples import photo_set
from faceid_cli.builtin.sampling import random_picture
from faceid_cli.errors import NotAnImageError, PhotoError
from faceid_cli.faces.finder import FaceFinder, finder_for
from faceid_cli.faces.intake import Intake, IntakeOptions, judge_photos, take_in

SIZE_PX = 128


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return finder_for(builtin=True)


@pytest.fixture(scope="module")
def drawings() -> list[Image.Image]:
    return [drawing.image for drawing in photo_set(300, 8, 300, 256)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, drawings: list[Image.Image]) -> Path:
    """The camera roll; what is good in it is named good-*."""
    roll = tmp_path_factory.mktemp("roll")
    exif = Image.Exif()
    exif[0x0112] = 6
    drawings[0].transpose(Image.Transpose.ROTATE_90).save(roll / "good-turned.jpg", exif=exif, quality=95)
    drawings[1].convert("RGBA").save(roll / "good-alpha.png")
    drawings[2].convert("CMYK").save(roll / "good-cmyk.tiff")
    (roll / "sub" / "deeper").mkdir(parents=True)
    drawings[3].save(
        roll / "sub" / "deeper" / "good-moving.webp", save_all=True, append_images=[drawings[4]], lossless=True
    )
    drawings[5].convert("P", palette=Image.Palette.ADAPTIVE).save(roll / "good-palette.png")
    (roll / "zz-copy.png").write_bytes((roll / "good-alpha.png").read_bytes())
    drawings[1].resize((300, 300)).save(roll / "zz-again.jpg", quality=60)
    drawings[6].filter(ImageFilter.GaussianBlur(9)).save(roll / "blurred.png")
    strangers = photo_set(301, 1, 301, 256)
    strangers[0].image.save(roll / "stranger.png")
    Image.new("RGB", (400, 800), (240, 240, 245)).save(roll / "screenshot.png")
    (roll / "text.jpg").write_text("no picture")
    (roll / "empty.png").touch()
    data = io.BytesIO()
    drawings[7].save(data, "JPEG")
    (roll / "half.jpg").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(roll / "photograph.png")
    side = int(photos.MAX_PIXELS**0.5) + 10
    Image.new("1", (side, side)).save(roll / "bomb.png")
    (roll / "notes.txt").write_text("not a picture, and not called one")
    if hasattr(os, "mkfifo"):
        os.mkfifo(roll / "pipe.jpg")
    return roll


@pytest.fixture(scope="module")
def intake(folder: Path, finder: FaceFinder) -> Intake:
    return take_in([folder], finder, IntakeOptions(SIZE_PX))


def test_every_picture_file_has_one_verdict(folder: Path, intake: Intake) -> None:
    assert sorted(verdict.path for verdict in intake.verdicts) == sorted(photos.find_photos([folder]))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("zz-copy.png", "a copy of good-alpha.png"),
        ("zz-again.jpg", "nearly the same as good-alpha.png"),
        ("blurred.png", "blurred"),
        ("stranger.png", "shows somebody else than the other photos"),
        ("screenshot.png", "no drawn face"),
        ("text.jpg", "not a picture"),
        ("empty.png", "empty"),
        ("half.jpg", "damaged or truncated"),
        ("photograph.png", "looks like a photograph"),
        ("bomb.png", "has more than 150 million pixels"),
    ],
)
def test_what_is_no_good_is_left_out_and_says_why(intake: Intake, name: str, reason: str) -> None:
    (verdict,) = [verdict for verdict in intake.verdicts if verdict.path.name == name]
    assert verdict.grade == "left out"
    assert reason in verdict.reasons[0]


def test_what_is_good_is_used(intake: Intake) -> None:
    used = {verdict.path.name for verdict in intake.verdicts if verdict.grade != "left out"}
    assert used == {"good-turned.jpg", "good-alpha.png", "good-cmyk.tiff", "good-moving.webp", "good-palette.png"}
    assert {crop.photo_path.name for crop in intake.crops} == used
    assert all(crop.image.size == (SIZE_PX, SIZE_PX) and crop.face is not None for crop in intake.crops)


def test_what_is_turned_comes_out_upright(intake: Intake, drawings: list[Image.Image]) -> None:
    (crop,) = [crop for crop in intake.crops if crop.photo_path.name == "good-turned.jpg"]
    expected = drawings[0].resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(crop.image, dtype=int) - np.asarray(expected)).mean() < 4


def test_strict_stops_at_the_first(folder: Path, finder: FaceFinder) -> None:
    with pytest.raises(NotAnImageError, match=r"bomb.png"):
        take_in([folder], finder, IntakeOptions(SIZE_PX, strict=True))


def test_nothing_but_rubbish_is_one_error(folder: Path, finder: FaceFinder) -> None:
    rubbish = [folder / "text.jpg", folder / "empty.png", folder / "screenshot.png"]
    with pytest.raises(PhotoError, match=r"none of 3 photos can be used: .*text.jpg is not a picture") as caught:
        take_in(rubbish, finder, IntakeOptions(SIZE_PX))
    assert "faceid photos check" in (caught.value.hint or "")
    assert judge_photos(rubbish, finder, IntakeOptions(SIZE_PX)).crops == ()
    with pytest.raises(NotAnImageError, match=r"^[^ ]*text.jpg is not a picture$"):
        take_in(rubbish[:1], finder, IntakeOptions(SIZE_PX))


def test_without_faces_wanted_all_that_can_be_read_is_taken(folder: Path) -> None:
    whole = take_in([folder], None, IntakeOptions(SIZE_PX, detect=False))
    used = {crop.photo_path.name for crop in whole.crops}
    assert {"screenshot.png", "stranger.png", "photograph.png", "good-turned.jpg"} <= used
    assert not used & {"text.jpg", "empty.png", "half.jpg", "bomb.png"}


def test_other_people_in_the_crop_are_noted(finder: FaceFinder, drawings: list[Image.Image], tmp_path: Path) -> None:
    for number, image in enumerate(drawings[:2]):
        image.save(tmp_path / f"{number}.png")
    group = draw(random_picture([person_from_seed(11), person_from_seed(12)], np.random.default_rng(0)), 256)
    group.image.save(tmp_path / "group.png")
    options = IntakeOptions(SIZE_PX, "left", face_share=0.2)
    crops = take_in([tmp_path], finder, options).crops
    (crop,) = [crop for crop in crops if crop.photo_path.name == "group.png"]
    (other,) = crop.others
    assert crop.face is not None
    assert other.center[0] > crop.face.box.center[0]
    assert other.x + other.width <= SIZE_PX
    auto = take_in([tmp_path], finder, IntakeOptions(SIZE_PX))
    verdict = auto.verdicts[-1]
    assert (verdict.path.name, verdict.grade, verdict.faces) == ("group.png", "left out", 2)


def test_a_word_for_the_face_is_obeyed_and_somebody_else_is_told(
    finder: FaceFinder, drawings: list[Image.Image], tmp_path: Path
) -> None:
    for number, image in enumerate(drawings[:3]):
        image.save(tmp_path / f"{number}.png")
    photo_set(301, 1, 301, 256)[0].image.save(tmp_path / "stranger.png")
    intake = take_in([tmp_path], finder, IntakeOptions(SIZE_PX, "largest"))
    assert len(intake.crops) == 4
    assert intake.warnings[0] == "stranger.png seems to show somebody else than the other photos"
    (tmp_path / "stranger.png").unlink()
    assert not any(
        "somebody else" in line for line in take_in([tmp_path], finder, IntakeOptions(SIZE_PX, "1")).warnings
    )


def test_jittered_copies_differ_and_repeat(finder: FaceFinder, drawings: list[Image.Image], tmp_path: Path) -> None:
    drawings[0].save(tmp_path / "a.png")
    first, again = (take_in([tmp_path], finder, IntakeOptions(SIZE_PX, jitter=2, seed=3)).crops for _ in range(2))
    assert len(first) == 3
    assert len({crop.image.tobytes() for crop in first}) == 3
    assert [crop.image.tobytes() for crop in first] == [crop.image.tobytes() for crop in again]


@pytest.mark.parametrize("size", [(96, 96), (96, 140)])
def test_jittered_copies_differ_where_no_face_is_looked_for(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    plain, jittered = (take_in([tmp_path], None, IntakeOptions(64, detect=False, jitter=n)).crops for n in (0, 3))
    assert len({crop.image.tobytes() for crop in jittered}) == 4
    assert jittered[0].image.tobytes() == plain[0].image.tobytes()
    assert all(crop.face is None for crop in jittered)


def test_more_room_around_the_face(finder: FaceFinder, drawings: list[Image.Image], tmp_path: Path) -> None:
    drawings[0].resize((512, 512)).save(tmp_path / "a.png")
    (crop,) = take_in([tmp_path], finder, IntakeOptions(SIZE_PX, face_share=0.6)).crops
    assert crop.face is not None
    assert max(crop.face.box.height, crop.face.box.width) == pytest.approx(0.6 * SIZE_PX, rel=0.02)

"""`enroll --hold-out N`: photos that training does not see, and evaluation compares with."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.samples import photo_set
from faceid_cli.cli.app import main
from faceid_cli.errors import PhotoError
from faceid_cli.evaluation.judges import DrawnJudge
from faceid_cli.evaluation.references import likeness_of
from faceid_cli.faces.holding_out import hold_out
from faceid_cli.photo_files import read_photo
from faceid_cli.registry.store import Registry
from faceid_cli.types import FaceCrop

QUICK = ("--steps", "1", "--batch", "1", "--device", "cpu", "--quiet")


def crop(photo: str, number: int = 0) -> FaceCrop:
    return FaceCrop(Image.new("RGB", (8, 8), (number, 0, 0)), None, photo, Path(f"{photo}.png"))


def test_the_last_photos_go_with_all_their_crops() -> None:
    crops = [crop("a"), crop("b"), crop("b", 1), crop("c"), crop("c", 1)]
    assert hold_out(crops, 1) == (crops[:3], crops[3:])
    assert hold_out(crops, 0) == (crops, [])


@pytest.mark.parametrize(
    ("photos", "count", "message"),
    [
        ("ab", 2, "2 usable photos are too few to hold out 2: at least one is learned from"),
        ("a", 3, "1 usable photo is too few to hold out 3"),
    ],
)
def test_something_must_be_left_to_learn_from(photos, count, message) -> None:
    with pytest.raises(PhotoError, match=message) as caught:
        hold_out([crop(name) for name in photos], count)
    assert caught.value.exit_code == 4
    assert f"give {count + 1} or more" in caught.value.hint


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    folder = tmp_path / "drawings"
    folder.mkdir()
    for number, drawing in enumerate(photo_set(7, 3, 0, 256)):
        drawing.image.save(folder / f"{number}.png")
    return folder


def test_what_was_held_out_is_not_learned_from_and_is_compared_with(drawings, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["enroll", "dora", str(drawings), "--hold-out", "1", *QUICK]) == 0, capsys.readouterr().err
    with Registry.open() as registry:
        dora, settings = registry.get("dora"), registry.runs_of("dora")[-1].run.settings
    hashes = [read_photo(drawings / f"{number}.png").sha256 for number in range(3)]
    assert dora.photo_hashes == tuple(hashes[:2])
    assert settings["held_out_files"] == {str(drawings / "2.png"): hashes[2]}
    assert settings["request"]["hold_out"] == 1
    page = tmp_path / "dora.html"
    assert main(["report", "dora", "--no-attention", "-o", str(page), "--quiet"]) == 0
    assert page.read_text().count("held out: nothing was learned from it") == 1
    assert str(drawings) not in page.read_text().split("<h2>Once more</h2>")[0], "no paths among the settings"
    judge = DrawnJudge(Judge.load())
    assert len(likeness_of(dora, judge, (), True, None).references) == 1
    (drawings / "2.png").unlink()
    assert len(likeness_of(dora, judge, (), True, None).references) == 2, "else with those it learned from"


def test_too_few_photos_and_less_than_none_are_refused(drawings, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["enroll", "dora", str(drawings), "--hold-out", "3", *QUICK]) == 4
    assert "3 usable photos are too few to hold out 3" in capsys.readouterr().err
    assert main(["enroll", "dora", str(drawings), "--hold-out", "-1", *QUICK]) == 2
    assert "photos to hold out must be 0 or more" in capsys.readouterr().err

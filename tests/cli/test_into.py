"""`generate --into`: a person's face put into a photo, on the built-in model and on another one."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceid_cli.kept import paths
from faceid_cli.rendering.metadata import read_metadata
from faceid_cli.rendering.xmp import COMPOSITE_SOURCE_TYPE

SHARED = Path(__file__).parents[3] / "shared"
WEIGHTS = SHARED / "weights" / "detection_mobilenet0.25_Final.pth"
CHEAP = ("--device", "cpu", "--steps", 3)


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


@pytest.fixture
def anna(faceid) -> None:
    """Anna is enrolled on the built-in model."""
    assert faceid("samples", "photos", "--person", 3, "--count", 1).code == 0
    quick = ("--steps", 1, "--batch", 1, "--device", "cpu", "--no-keep-photos")
    answer = faceid("enroll", "anna", "photos", *quick)
    assert answer.code == 0, answer.err


@pytest.fixture
def group(faceid) -> Path:
    """Two drawn people side by side, larger than the built-in model's pictures."""
    assert faceid("samples", "others", "--person", 5, "--count", 1).code == 0
    assert faceid("samples", "others", "--person", 8, "--count", 1).code == 0
    whole = Image.new("RGB", (800, 400))
    for index, file in enumerate(sorted(Path("others").iterdir())):
        with Image.open(file) as image:
            whole.paste(image.convert("RGB").resize((400, 400)), (400 * index, 0))
    whole.save("group.png")
    return Path("group.png")


def test_one_of_two_drawn_faces_is_replaced(faceid, anna, group) -> None:
    unclear = faceid("generate", "anna", "", "--into", group, *CHEAP)
    assert unclear.code == 4
    assert unclear.err.startswith("error: 2 faces in group.png\n")
    assert "--face largest, left, right or 1 to 2" in unclear.err
    answer = faceid("generate", "anna", "", "--into", group, "--face", "right", *CHEAP, "--json")
    assert answer.code == 0, answer.err
    (found,) = answer.data["renders"]
    changed = (pixels(found["file"]) != pixels(group)).any(axis=2)
    assert changed.shape == (400, 800)
    assert not changed[:, :400].any()
    rows, columns = np.nonzero(changed)
    assert 0.02 < changed[:, 400:].mean() < 0.6
    assert 450 < columns.mean() < 750
    assert 50 < rows.mean() < 350
    metadata = read_metadata(Path(found["file"]))
    assert metadata is not None
    assert (metadata.face, metadata.files) == ("right", {"into": "group.png"})
    assert COMPOSITE_SOURCE_TYPE.encode() in Path(found["file"]).read_bytes()
    again = faceid(*shlex.split(found["settings"]["command"])[1:], "--json")
    assert np.array_equal(pixels(again.data["renders"][0]["file"]), pixels(found["file"]))


@pytest.fixture
def two_people() -> Path:
    """A photograph, and the weights for finding faces in it."""
    file = SHARED / "photos" / "two_people.jpg"
    if not (WEIGHTS.exists() and file.exists()):
        pytest.skip("photographs and weights are not on this machine")
    paths.weights_dir().mkdir(parents=True, exist_ok=True)
    shutil.copy(WEIGHTS, paths.weights_dir())
    return file


def test_a_face_in_a_photograph_is_replaced(faceid, alice, two_people) -> None:
    assert faceid("generate", "alice", "", "--into", two_people, *CHEAP).code == 4
    answer = faceid("generate", "alice", "old", "--into", two_people, "--face", "left", *CHEAP, "--json")
    assert answer.code == 0, answer.err
    before, after = pixels(two_people), pixels(answer.data["renders"][0]["file"])
    changed = (before != after).any(axis=2)
    _, columns = np.nonzero(changed)
    assert changed.mean() < 0.25
    assert columns.mean() < before.shape[1] / 2


def test_without_the_weights_a_painted_mask_is_offered(faceid, alice, tmp_path) -> None:
    Image.new("RGB", (100, 100), (128, 90, 70)).save(tmp_path / "photo.png")
    answer = faceid("generate", "alice", "", "--into", tmp_path / "photo.png", *CHEAP)
    assert answer.code == 5
    assert "a painted mask works without: --init FILE --mask FILE" in answer.err
    assert "faceid weights fetch" in answer.err

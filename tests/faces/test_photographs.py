"""faces/photographs.py: facexlib's networks on real photographs, and broken installations."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from faceid_cli.errors import WeightsMissingError
from faceid_cli.faces.finder import finder_for
from faceid_cli.faces.photographs import (
    _ARCFACE_LANDMARKS,
    PhotographFaceFinder,
    _filled,
    align_face,
    build_recogniser,
)
from faceid_cli.kept import paths
from faceid_cli.types import Face

SHARED = Path(__file__).parents[3] / "shared"
WEIGHTS = SHARED / "weights" / "detection_mobilenet0.25_Final.pth"


@pytest.fixture
def finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PhotographFaceFinder:
    """The real detector, its weights put where a user would put them."""
    if not WEIGHTS.exists():
        pytest.skip("weights are not on this machine")
    monkeypatch.setenv("FACEID_HOME", str(tmp_path))
    paths.weights_dir().mkdir(parents=True)
    shutil.copy(WEIGHTS, paths.weights_dir())
    loaded = finder_for(builtin=False, device="cpu")
    assert isinstance(loaded, PhotographFaceFinder)
    return loaded


def _photo(name: str) -> Image.Image:
    path = SHARED / "photos" / name
    if not path.exists():
        pytest.skip("photographs are not on this machine")
    with Image.open(path) as image:
        return image.convert("RGB")


def _check_layout(face: Face) -> None:
    """Eyes above nose above mouth, left before right, all inside the box."""
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    for x, y in face.landmarks:
        assert face.box.x < x < face.box.x + face.box.width
        assert face.box.y < y < face.box.y + face.box.height


def test_one_face_with_landmarks_on_eyes_nose_and_mouth(finder: PhotographFaceFinder) -> None:
    (face,) = finder.find(_photo("portrait_official.jpg"))
    _check_layout(face)
    expected = [(444, 212), (551, 212), (498, 277), (443, 321), (548, 321)]  # read off the photograph, 910 x 1137 px
    assert np.abs(np.array(face.landmarks) - expected).max() < 0.05 * face.box.height
    assert face.score > 0.99


@pytest.mark.parametrize("scale", [0.25, 2.5])
def test_places_are_in_pixels_of_the_picture_at_any_size(finder: PhotographFaceFinder, scale: float) -> None:
    image = _photo("portrait_official.jpg")
    (face,) = finder.find(image)
    (scaled,) = finder.find(image.resize((round(image.width * scale), round(image.height * scale))))
    assert np.abs(np.array(scaled.landmarks) / scale - face.landmarks).max() < 0.05 * face.box.height


def test_several_faces_from_left_to_right(finder: PhotographFaceFinder) -> None:
    faces = finder.find(_photo("two_people.jpg"))
    assert len(faces) == 3  # the two people, and a blurred one at the edge
    assert [face.box.x for face in faces] == sorted(face.box.x for face in faces)
    for face in faces[:2]:
        _check_layout(face)


def test_a_face_that_fills_the_picture(finder: PhotographFaceFinder) -> None:
    image = _photo("portrait_official.jpg").crop((370, 60, 625, 430))
    (face,) = finder.find(image.resize((765, 1110)))
    _check_layout(face)


def test_nothing_is_found_in_nothing(finder: PhotographFaceFinder) -> None:
    assert finder.find(Image.new("RGB", (200, 100), (120, 120, 120))) == []
    assert finder.find(Image.new("RGB", (1, 1))) == []


def test_comparing_faces_needs_further_weights(finder: PhotographFaceFinder) -> None:
    image = _photo("portrait_official.jpg")
    (face,) = finder.find(image)
    with pytest.raises(WeightsMissingError, match=r"weights for comparing faces in photographs are missing"):
        finder.embed(image, face)


def test_alignment_brings_landmarks_to_their_places() -> None:
    """A face turned, enlarged and shifted by a known transform comes back to the template."""
    turn, shift = 2.5 * np.exp(0.4j), 130 + 60j
    points = [turn * complex(x, y) + shift for x, y in _ARCFACE_LANDMARKS]
    landmarks = tuple((point.real, point.imag) for point in points)
    image = Image.new("RGB", (500, 500))
    image.paste((255, 255, 255), tuple(round(v) for v in (landmarks[2][0] - 6, landmarks[2][1] - 6)) + tuple(
        round(v) for v in (landmarks[2][0] + 6, landmarks[2][1] + 6)
    ))  # fmt: skip
    aligned = np.asarray(ImageOps.grayscale(align_face(image, landmarks)), dtype=float)
    rows, columns = np.nonzero(aligned > 128)
    assert aligned.shape == (112, 112)
    assert (columns.mean(), rows.mean()) == pytest.approx(_ARCFACE_LANDMARKS[2], abs=1)


def test_missing_detection_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEID_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=r"weights for finding faces in photographs are missing"):
        finder_for(builtin=False)


@pytest.mark.parametrize(
    ("broken_torchvision", "message", "hint"),
    [
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "torchvision::nms does not exist",
            "--force",
        ),
        (
            "raise ModuleNotFoundError(\"No module named 'torchvision'\", name='torchvision')",
            "not installed",
            "pip ins",
        ),
    ],
)
def test_a_broken_pair_of_packages_is_a_clear_error(
    tmp_path: Path, broken_torchvision: str, message: str, hint: str
) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(broken_torchvision)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from faceid_cli.errors import BrokenInstallError
from faceid_cli.faces.photographs import _imported
try:
    _imported("facexlib.detection.retinaface", "RetinaFace")
except BrokenInstallError as error:
    assert {message!r} in error.message, error.message
    assert {hint!r} in error.hint, error.hint
    sys.exit(0)
sys.exit(1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_finder_loads_neither_torch_nor_facexlib() -> None:
    code = (
        "import sys, faceid_cli.faces.finder, faceid_cli.faces.intake;"
        "assert not {'torch', 'facexlib', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_filling_a_network_leaves_the_random_state_of_the_caller_alone(tmp_path: Path) -> None:
    import torch

    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "weights.pth")
    before = torch.get_rng_state()
    _filled(lambda: torch.nn.Linear(2, 2), tmp_path / "weights.pth", torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_recogniser_gives_unit_vectors_that_depend_on_the_face(finder: PhotographFaceFinder) -> None:
    """The real network with random weights: building, aligning and normalising are what is tested."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        finder._recogniser = build_recogniser().eval()
    image = _photo("two_people.jpg")
    first, second = (finder.embed(image, face) for face in finder.find(image)[:2])
    assert first.shape == (512,)
    assert first.dtype == np.float32
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(first, second)


def test_the_recogniser_is_fed_blue_first_in_minus_one_to_one(finder: PhotographFaceFinder) -> None:
    """As the weights were trained. A network whose embedding is the mean of each of its input's channels tells."""
    import torch

    class Means(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            assert pixels.shape == (1, 3, 112, 112)
            return pixels.mean(dim=(2, 3))

    finder._recogniser = Means()
    (face,) = finder.find(_photo("portrait_official.jpg"))
    orange = Image.new("RGB", _photo("portrait_official.jpg").size, (255, 191, 0))
    expected = np.array([-1, 191 / 127.5 - 1, 1])
    assert finder.embed(orange, face) == pytest.approx(expected / np.linalg.norm(expected), abs=1e-3)


def test_several_pictures_at_once_give_what_each_gives_alone(finder: PhotographFaceFinder) -> None:
    portrait = _photo("portrait_official.jpg")
    images = [portrait, _photo("two_people.jpg"), portrait.resize((455, 568)), Image.new("RGB", (64, 64)), portrait]
    together = finder.find_all(images)
    assert [len(faces) for faces in together] == [1, 3, 1, 0, 1]
    for faces, image in zip(together, images, strict=True):
        for face, alone in zip(faces, finder.find(image), strict=True):
            assert np.allclose(face.landmarks, alone.landmarks, atol=0.5)


def test_places_agree_with_facexlib_itself(finder: PhotographFaceFinder) -> None:
    """The way around the network is ours; facexlib's own, on the same pixels, is what it has to agree with."""
    image = _photo("portrait_official.jpg")
    image.thumbnail((640, 640))
    (face,) = finder.find(image)
    (row,) = finder._detector._network.detect_faces(image, conf_threshold=0.8)
    box = face.box
    assert np.allclose(row[:4], (box.x, box.y, box.x + box.width, box.y + box.height), atol=0.5)
    assert np.allclose(row[5:].reshape(5, 2), face.landmarks, atol=0.5)


def test_the_larger_detector_can_be_built_without_its_weights() -> None:
    """Random weights: that facexlib's code fits the installed torchvision, and that answers have the right form."""
    import torch

    from faceid_cli.faces.photographs import _imported
    from faceid_cli.faces.retinaface import RetinaFaceDetector, build_network

    network = build_network("resnet50", _imported).eval()
    detector = RetinaFaceDetector(network, torch.device("cpu"), _imported("torchvision.ops", "nms"))
    (rows,) = detector.detect([Image.new("RGB", (64, 48), (90, 80, 70))], least_score=0.0)
    assert rows.shape[1] == 15


@pytest.mark.parametrize("name", ["bisenet", pytest.param("parsenet", marks=pytest.mark.slow)])
def test_outlines_have_the_size_of_the_picture(name: str) -> None:
    """Random weights: the networks are built, fed and answered in the right form."""
    import torch

    from faceid_cli.faces.parsing import FaceParser, build_parser
    from faceid_cli.faces.photographs import _imported
    from faceid_cli.types import Box

    parser = FaceParser(build_parser(name, _imported).eval(), name, torch.device("cpu"))
    outline = parser.outline(Image.new("RGB", (90, 70), (150, 120, 100)), Box(20, 10, 30, 40))
    assert (outline.mode, outline.size) == ("L", (90, 70))

"""Faces in photographs: facexlib's networks for finding, comparing and outlining, with weights from weights.py.

The networks are built here rather than by facexlib's own functions, which download into its installation folder and
expect a CUDA device. facexlib is imported only where it is used: it brings torchvision, whose build must match torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from faceid_cli.errors import BrokenInstallError
from faceid_cli.faces.parsing import NETWORKS as PARSERS
from faceid_cli.faces.parsing import FaceParser, build_parser
from faceid_cli.faces.quality import shrunk
from faceid_cli.faces.retinaface import NETWORKS, RetinaFaceDetector, build_network
from faceid_cli.kept.weights import local_weights, weights_path
from faceid_cli.types import Box, Face

_SIZES_PX = (640, 1600, 320)
"""Longest sides at which a picture is searched, one after the other until a face is found: the first is what the
detector was trained at, the second finds small faces in large pictures, the third faces that fill the picture."""

_LEAST_SCORE = 0.8

# Where ArcFace expects eyes, nose tip and mouth corners in its 112 x 112 input, (x, y) in pixels.
_ARCFACE_PX = 112
_ARCFACE_LANDMARKS = ((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))


class PhotographFaceFinder:
    """Finds faces in photographs; compares and outlines them if the weights for that are there, too.

    Args:
        detector: RetinaFace with its weights, on its device.
        device: Where the further networks go when they are needed.
    """

    is_drawn_world = False
    same_person = 0.3
    """ArcFace's similarity from which two faces count as one person's: lenient, as photos differ in age and light."""

    def __init__(self, detector: RetinaFaceDetector, device: torch.device) -> None:
        self._detector = detector
        self._device = device
        self._recogniser: Any = None
        self._parser: FaceParser | None = None

    @classmethod
    def load(cls, device: str = "auto", detector: str = "mobilenet") -> PhotographFaceFinder:
        """Load the detector onto the device ("auto" takes a CUDA device where there is one).

        Args:
            device: "auto", "cpu", "cuda", "cuda:1".
            detector: "mobilenet", which is small, or "resnet50", which finds more of the faces that are hard to find.

        Raises:
            WeightsMissingError: Its weights are not on this machine.
            BrokenInstallError: facexlib or torchvision cannot be imported.
        """
        weights = local_weights(NETWORKS[detector][1])
        target = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        network = _filled(lambda: build_network(detector, _imported), weights, target)
        return cls(RetinaFaceDetector(network, target, _imported("torchvision.ops", "nms")), target)

    @property
    def can_compare(self) -> bool:
        """Whether the weights for comparing faces are there."""
        return self._recogniser is not None or weights_path("face-recognition").is_file()

    def find(self, image: Image.Image) -> list[Face]:
        """All faces of an RGB picture, from left to right, in its pixels."""
        return self.find_all([image])[0]

    def find_all(self, images: Sequence[Image.Image]) -> list[list[Face]]:
        """The faces of several RGB pictures, as `find` finds them in each; pictures of one size go together."""
        found: list[list[Face]] = [[] for _ in images]
        for size_px in _SIZES_PX:
            wanted = [
                index
                for index, image in enumerate(images)
                if not found[index] and (size_px <= _SIZES_PX[0] or max(image.size) > _SIZES_PX[0])
            ]
            for index, faces in self._find_at([images[index] for index in wanted], wanted, size_px):
                found[index] = sorted(faces, key=lambda face: face.box.center[0])
        return found

    def embed(self, image: Image.Image, face: Face) -> NDArray[np.float32]:
        """The identity of one face as a unit vector (512,).

        Raises:
            WeightsMissingError: The weights for comparing faces are not on this machine.
        """
        if self._recogniser is None:
            self._recogniser = _filled(build_recogniser, local_weights("face-recognition"), self._device)
        aligned = np.asarray(align_face(image.convert("RGB"), face.landmarks), dtype=np.float32)
        # These weights saw blue, green, red in their training, not red, green, blue; see docs/photos.md.
        pixels = torch.from_numpy(aligned[:, :, ::-1] / 127.5 - 1)
        with torch.inference_mode():
            vector = self._recogniser(pixels.permute(2, 0, 1)[None].to(self._device))[0].float().cpu().numpy()
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    def outline(self, image: Image.Image, face: Face) -> Image.Image | None:
        """The visible face as a picture of mode "L", or None where the weights for that are not on this machine."""
        if self._parser is None:
            name = next((name for name, weights in PARSERS.items() if weights_path(weights).is_file()), None)
            if name is None:
                return None
            network = _filled(lambda: build_parser(name, _imported), local_weights(PARSERS[name]), self._device)
            self._parser = FaceParser(network, name, self._device)
        return self._parser.outline(image, face.box)

    def _find_at(
        self, images: Sequence[Image.Image], numbers: Sequence[int], size_px: int
    ) -> Iterator[tuple[int, list[Face]]]:
        by_size: dict[tuple[int, int], list[tuple[int, Image.Image, tuple[int, int]]]] = {}
        for number, image in zip(numbers, images, strict=True):
            scaled = shrunk(image, size_px)
            by_size.setdefault(scaled.size, []).append((number, scaled, image.size))
        for (width, height), members in by_size.items():
            found = self._detector.detect([scaled for _, scaled, _ in members], _LEAST_SCORE)
            for (number, _, size), rows in zip(members, found, strict=True):
                yield number, [_face_of(row, size[0] / width, size[1] / height, size) for row in rows]


def _filled(build: Callable[[], Any], weights: Path, device: torch.device) -> Any:
    """The network with its weights, ready to answer; names that a parallel training left a prefix on are mended."""
    with torch.random.fork_rng(devices=[]):  # what it begins with is drawn; the caller keeps their state
        network = build()
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    return network.to(device).eval().requires_grad_(False)


def build_recogniser() -> Any:
    """ArcFace with a 50-layer IR-SE backbone, without weights: (B, 3, 112, 112) in -1 to 1, BGR -> (B, 512)."""
    build = _imported("facexlib.recognition.arcface_arch", "Backbone")
    return build(num_layers=50, drop_ratio=0.6, mode="ir_se")


def align_face(image: Image.Image, landmarks: tuple[tuple[float, float], ...]) -> Image.Image:
    """Turn, scale and shift a face so that its five landmarks come to lie as ArcFace expects; 112 x 112 px.

    The similarity transform is the least-squares one: with points as complex numbers it is z -> a z + b.
    """
    wanted = np.array([complex(x, y) for x, y in _ARCFACE_LANDMARKS])
    found = np.array([complex(x, y) for x, y in landmarks])
    # Pillow asks for the way back, from output to input pixels.
    turn, shift = np.linalg.lstsq(np.stack([wanted, np.ones(len(wanted))], axis=1), found, rcond=None)[0]
    matrix = (turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag)
    size = (_ARCFACE_PX, _ARCFACE_PX)
    return image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def _face_of(row: NDArray[np.float64], scale_x: float, scale_y: float, size: tuple[int, int]) -> Face:
    """One row of the detector: left, top, right, bottom, score, then five (x, y); the box is cut to the picture."""
    left, right = (float(np.clip(value * scale_x, 0, size[0])) for value in row[[0, 2]])
    top, bottom = (float(np.clip(value * scale_y, 0, size[1])) for value in row[[1, 3]])
    points = tuple((float(x * scale_x), float(y * scale_y)) for x, y in row[5:15].reshape(5, 2))
    return Face(Box(left, top, right - left, bottom - top), points, float(row[4]))


def _imported(module: str, name: str) -> Callable[..., Any]:
    """Import from facexlib, and turn what a broken torch and torchvision pair raises into a remedy."""
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise BrokenInstallError(
            f"the package {error.name} is not installed, which faces in photographs need", f"pip install {error.name}"
        ) from error
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        build = torch.__version__.partition("+")[2]
        index = f" --index-url https://download.pytorch.org/whl/{build}" if build else ""
        raise BrokenInstallError(
            f"facexlib cannot be imported with torch {torch.__version__}: {str(error).splitlines()[0]}",
            f"install the torchvision that was built for this torch: pip install --force-reinstall torchvision{index}",
        ) from error

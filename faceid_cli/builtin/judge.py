"""The judge of the portrait world: finds faces, tells people apart, and recognises scenes, objects and attributes.

Two small networks look at pictures of 128 x 128 px and at faces of 64 x 64 px, aligned by their landmarks.
Shapes: B pictures, E width of a face embedding.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from faceid_cli.builtin.people import TRAITS
from faceid_cli.builtin.vocabulary import ALL_SCENES, ATTRIBUTES, OBJECTS
from faceid_cli.errors import WeightsMissingError
from faceid_cli.kept.paths import builtin_judge_file
from faceid_cli.types import Box, Face

PICTURE_PX, FACE_PX, STRIDE, EMBEDDING_WIDTH = 128, 64, 8, 96
# Where the five landmarks of an aligned face lie, in pixels of FACE_PX.
TEMPLATE = np.array([[25.0, 29.0], [39.0, 29.0], [32.0, 37.5], [27.0, 44.5], [37.0, 44.5]])
_LEAST_SCORE, _MOST_OVERLAP, _LEAST_OBJECT = 0.4, 0.4, 0.5
_MOST_SIDE = 4096


class Residual(nn.Module):
    """Two convolutions around which the input passes unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        return functional.relu(x + self.second(self.first(x)))


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class PictureNetwork(nn.Module):
    """Finds faces and objects as peaks of maps (arXiv 1904.07850) and recognises the scene of a whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.stage8 = nn.Sequential(convolution(3, 24, 2), convolution(24, 40, 2), convolution(40, 80, 2), Residual(80))
        self.stage16 = nn.Sequential(convolution(80, 144, 2), Residual(144))
        self.lateral, self.merge = nn.Conv2d(144, 80, 1), convolution(80, 96)
        self.faces = nn.Conv2d(96, 1 + 4 + 10, 1)
        self.objects = nn.Conv2d(96, len(OBJECTS), 1)
        self.scenes = nn.Linear(2 * 144 + 2 * 96, len(ALL_SCENES))
        nn.init.constant_(self.faces.bias[:1], -3.0)  # type: ignore[index]
        nn.init.constant_(self.objects.bias, -4.0)  # type: ignore[arg-type]

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, 128, 128) in -1..1 -> face map (B, 15, 16, 16), scene logits (B, scenes), object map of logits."""
        middle = self.stage8(pictures)
        coarse = self.stage16(middle)
        middle = self.merge(middle + functional.interpolate(self.lateral(coarse), scale_factor=2.0))
        pooled = [part.flatten(2) for part in (coarse, middle)]
        features = torch.cat([p.mean(-1) for p in pooled] + [p.amax(-1) for p in pooled], dim=1)
        return self.faces(middle), self.scenes(features), self.objects(middle)


class FaceNetwork(nn.Module):
    """Embeds an aligned face; the attributes are read from the same features, not from the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            convolution(3, 24, 2),
            convolution(24, 48),
            convolution(48, 80, 2),
            Residual(80),
            convolution(80, 128, 2),
            Residual(128),
            convolution(128, 160, 2),
            nn.Flatten(),
        )
        self.embedding = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(160 * 16, EMBEDDING_WIDTH), nn.BatchNorm1d(EMBEDDING_WIDTH)
        )
        self.attributes = nn.Linear(160 * 16, len(ATTRIBUTES))
        self.traits = nn.Linear(EMBEDDING_WIDTH, TRAITS)  # a second lesson, in training only

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, 64, 64) in -1..1 -> embeddings (B, E), not normalised, and attribute logits (B, attributes)."""
        features = self.features(faces)
        return self.embedding(features), self.attributes(features)


class Judge:
    """What the networks see in pictures of any size; words are those of `vocabulary`."""

    def __init__(self, pictures: PictureNetwork, faces: FaceNetwork) -> None:
        self._pictures = pictures.eval().requires_grad_(False)
        self._faces = faces.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: Path | None = None) -> Judge:
        """Load the shipped judge, or one from another file.

        Raises:
            WeightsMissingError: No such file.
        """
        return _shipped() if path is None else cls._read(path)

    @classmethod
    def _read(cls, path: Path) -> Judge:
        if not path.exists():
            raise WeightsMissingError(f"the judge's weights are missing: {path}", "install faceid again")
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
        with torch.random.fork_rng(devices=[]):  # what they begin with is drawn; the caller keeps their state
            pictures, faces = PictureNetwork(), FaceNetwork()
        for prefix, network in (("pictures.", pictures), ("faces.", faces)):
            own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            for name, buffer in network.named_buffers():
                if name.endswith("num_batches_tracked"):
                    own[name] = buffer
            network.load_state_dict(own)
        return cls(pictures, faces)

    def find_faces(self, image: Image.Image) -> list[Face]:
        """Faces from left to right, in pixels of the image."""
        pixels, factor, left, top = _to_square(image)
        found, _, _ = self._look(pixels)
        return [_moved(face, factor, left, top) for face in decode_faces(found[0])]

    def scenes(self, image: Image.Image) -> dict[str, float]:
        """Probability of each scene; they sum to 1."""
        _, scenes, _ = self._look(_to_square(image)[0])
        return dict(zip(ALL_SCENES, scenes.softmax(-1)[0].tolist(), strict=True))

    def objects(self, image: Image.Image) -> dict[str, float]:
        """Probability of each object, independent of each other."""
        _, _, objects = self._look(_to_square(image)[0])
        return dict(zip(OBJECTS, objects.amax((2, 3)).sigmoid()[0].tolist(), strict=True))

    def count(self, image: Image.Image, thing: str) -> int:
        """How many of a thing, a word of vocabulary.OBJECTS, are seen in different places."""
        _, _, objects = self._look(_to_square(image)[0])
        seen = objects[:, OBJECTS.index(thing)].sigmoid()
        peaks = (seen > _LEAST_OBJECT) & (seen == functional.max_pool2d(seen, 5, stride=1, padding=2))
        return int(peaks.sum())

    def embed(self, image: Image.Image, face: Face) -> NDArray[np.float32]:
        """Identity embedding of a face found in the image, float32 (E,) of unit length."""
        embedding = functional.normalize(self._look_at_face(image, face)[0])
        return embedding[0].numpy().astype(np.float32)

    def attributes(self, image: Image.Image, face: Face) -> dict[str, float]:
        """Probability of each attribute of a face found in the image, independent of each other."""
        logits = self._look_at_face(image, face)[1]
        return dict(zip(ATTRIBUTES, logits.sigmoid()[0].tolist(), strict=True))

    def _look(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            found: tuple[Tensor, Tensor, Tensor] = self._pictures(pixels)
        return found

    def _look_at_face(self, image: Image.Image, face: Face) -> tuple[Tensor, Tensor]:
        side = max(image.size)
        turn = alignment(np.asarray(face.landmarks, dtype=np.float64))
        # A large picture is shrunk until one pixel of it is one of the aligned face, so that no more is lost than must.
        shrunk = round(side / max(float(np.hypot(turn[0, 0], turn[1, 0])), 1.0))
        pixels, factor, left, top = _to_square(image, min(max(shrunk, PICTURE_PX), _MOST_SIDE))
        points = np.array([((x + left) * factor, (y + top) * factor) for x, y in face.landmarks])
        with torch.no_grad():
            seen: tuple[Tensor, Tensor] = self._faces(align(pixels, torch.from_numpy(alignment(points))[None].float()))
        return seen


@cache
def _shipped() -> Judge:
    """The shipped judge; whoever needs it in one process shares it."""
    return Judge._read(builtin_judge_file())


def alignment(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Similarity that maps the template onto five landmarks (5, 2), least squares: (2, 3), from face to picture px."""
    center, template_center = landmarks.mean(0), TEMPLATE.mean(0)
    a, b = TEMPLATE - template_center, landmarks - center
    cosine, sine = (a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    turn = np.array([[cosine, -sine], [sine, cosine]]) / (a * a).sum()
    return np.concatenate([turn, (center - turn @ template_center)[:, None]], axis=1)


def align(pictures: Tensor, matrices: Tensor) -> Tensor:
    """Cut aligned faces (B, 3, 64, 64) out of square pictures (B, 3, S, S); matrices (B, 2, 3) lead there."""
    size = pictures.shape[-1]
    places = (torch.arange(FACE_PX) + 0.5).to(pictures.device)
    y, x = torch.meshgrid(places, places, indexing="ij")
    grid = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # (64, 64, 3)
    points = torch.einsum("hwk,bck->bhwc", grid, matrices) * 2 / size - 1
    return functional.grid_sample(pictures, points, mode="bilinear", padding_mode="border", align_corners=False)


def decode_faces(found: Tensor) -> list[Face]:
    """Faces of one picture from its face map (15, 16, 16), left to right, in pixels of 128 x 128."""
    scores = found[0].sigmoid()
    peaks = scores == functional.max_pool2d(scores[None, None], 3, stride=1, padding=1)[0, 0]
    faces: list[Face] = []
    rows, columns = torch.nonzero(peaks & (scores > _LEAST_SCORE), as_tuple=True)
    for row, column in sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda at: -float(scores[at])):
        values = found[1:, row, column].tolist()
        x, y = (column + 0.5 + values[0]) * STRIDE, (row + 0.5 + values[1]) * STRIDE
        width, height = (float(np.exp(value)) * 32 for value in values[2:4])
        points = tuple((x + values[4 + 2 * i] * 32, y + values[5 + 2 * i] * 32) for i in range(5))
        face = Face(Box(x - width / 2, y - height / 2, width, height), points, float(scores[row, column]))
        if all(overlap(face.box, other.box) < _MOST_OVERLAP for other in faces):
            faces.append(face)
    return sorted(faces, key=lambda face: face.box.x)


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    common = max(width, 0.0) * max(height, 0.0)
    return common / (first.area + second.area - common)


def _to_square(image: Image.Image, size_px: int = PICTURE_PX) -> tuple[Tensor, float, float, float]:
    """Pixels (1, 3, size, size); the factor from the image to them, and the margins left and top in image pixels."""
    side = max(image.size)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    if side > _MOST_SIDE:  # the square of a long strip would be many times larger than the strip
        scale = _MOST_SIDE / side
        image = image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)))
    length = max(image.size)
    square = Image.new("RGB", (length, length), (127, 127, 127))
    square.paste(image.convert("RGB"), ((length - image.width) // 2, (length - image.height) // 2))
    small = square.resize((size_px, size_px), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.asarray(small, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    return pixels, size_px / side, float(left), float(top)


def _moved(face: Face, factor: float, left: float, top: float) -> Face:
    box = face.box
    moved = Box(box.x / factor - left, box.y / factor - top, box.width / factor, box.height / factor)
    return Face(moved, tuple((x / factor - left, y / factor - top) for x, y in face.landmarks), face.score)

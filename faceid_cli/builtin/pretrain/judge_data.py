"""What the judge is trained on: the drawn shards, the truth about them, and random changes of the pictures."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from faceid_cli.builtin.draw import figure_face
from faceid_cli.builtin.draw.picture import Picture
from faceid_cli.builtin.judge import PICTURE_PX, alignment
from faceid_cli.builtin.people import TRAITS
from faceid_cli.builtin.pretrain.pictures import SIZE_PX, Example, shard_examples, shard_file
from faceid_cli.builtin.vocabulary import ALL_SCENES, ATTRIBUTES, OBJECTS

MOST_FACES, NONE = 3, -1


@dataclass(frozen=True)
class Truth:
    """What N pictures show; places in pixels of 128 x 128, up to F = 3 faces a picture.

    Attributes:
        scenes: Index into ALL_SCENES, int64 (N,).
        objects: Index into OBJECTS or -1, int64 (N,): a picture never shows more than one.
        object_places: Centre of the object, float32 (N, 2).
        people: Person seed, -1 where there is no further face, int64 (N, F).
        points: Centre of the face's box, then the five landmarks, float32 (N, F, 6, 2).
        sizes: Width and height of the face's box, float32 (N, F, 2).
        attributes: 1 for each of ATTRIBUTES that is seen, float32 (N, F, attributes).
        traits: Person.vector(), float32 (N, F, TRAITS).
    """

    scenes: NDArray[np.int64]
    objects: NDArray[np.int64]
    object_places: NDArray[np.float32]
    people: NDArray[np.int64]
    points: NDArray[np.float32]
    sizes: NDArray[np.float32]
    attributes: NDArray[np.float32]
    traits: NDArray[np.float32]

    def pick(self, places: NDArray[np.int64]) -> Truth:
        """The truth about some of the pictures."""
        return Truth(**{field.name: getattr(self, field.name)[places] for field in fields(Truth)})


def truth_of(examples: list[Example]) -> Truth:
    """The truth about pictures, from the data they are drawn from."""
    count = len(examples)
    truth = Truth(
        scenes=np.array([ALL_SCENES.index(example.picture.scene) for example in examples]),
        objects=np.full(count, NONE),
        object_places=np.zeros((count, 2), np.float32),
        people=np.full((count, MOST_FACES), NONE),
        points=np.zeros((count, MOST_FACES, 6, 2), np.float32),
        sizes=np.ones((count, MOST_FACES, 2), np.float32),
        attributes=np.zeros((count, MOST_FACES, len(ATTRIBUTES)), np.float32),
        traits=np.zeros((count, MOST_FACES, TRAITS), np.float32),
    )
    for place, example in enumerate(examples):
        thing = object_of(example.picture)
        if thing is not None:
            truth.objects[place], truth.object_places[place] = OBJECTS.index(thing[0]), thing[1]
        for number, (figure, person) in enumerate(zip(example.picture.figures, example.people, strict=True)):
            face = figure_face(figure)
            truth.people[place, number] = person
            truth.points[place, number] = (face.box.center, *face.landmarks)
            truth.sizes[place, number] = face.box.width, face.box.height
            truth.attributes[place, number] = attribute_truth(figure.attributes, figure.bearded)
            truth.traits[place, number] = figure.person.vector()
    return truth


def object_of(picture: Picture) -> tuple[str, tuple[float, float]] | None:
    """The object that a picture shows, and the middle of it; None where there is none."""
    if picture.shared:
        return picture.shared, (sum(figure.x for figure in picture.figures) / len(picture.figures), 112.0)
    for figure in picture.figures:
        if figure.held:
            down = min(58.0 * figure.scale, 112.0 - figure.y)
            return figure.held, (figure.x + 23 * figure.hand * figure.scale, figure.y + down)
    return None


def attribute_truth(words: frozenset[str], bearded: bool) -> NDArray[np.float32]:
    """1 for each attribute that is seen, float32 (attributes,)."""
    return np.array([word in words or (word == "beard" and bearded) for word in ATTRIBUTES], dtype=np.float32)


class Shards:
    """All drawn shards of a folder: pixels, and the truth about them."""

    def __init__(self, work: Path) -> None:
        self._pixels: list[NDArray[np.uint8]] = []
        examples: list[Example] = []
        while shard_file(work, len(self._pixels)).exists():
            pixels = np.load(shard_file(work, len(self._pixels)), mmap_mode="r")
            examples += shard_examples(len(self._pixels), len(pixels))
            self._pixels.append(pixels)
        if not self._pixels:
            raise SystemExit(f"no pictures in {work}: draw them with faceid_cli.builtin.pretrain.pictures first")
        self.truth = truth_of(examples)
        self.count = len(examples)

    def pictures(self, places: NDArray[np.int64]) -> Tensor:
        """Pictures (B, 3, 128, 128) in -1..1."""
        size = len(self._pixels[0])
        stacked = np.stack([self._pixels[place // size][place % size] for place in places.tolist()])
        drawn = torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        return functional.avg_pool2d(drawn, SIZE_PX // PICTURE_PX)

    def faces(self) -> NDArray[np.int64]:
        """Where the faces are: (faces, 2), picture and number in it."""
        return np.argwhere(self.truth.people != NONE)


def degrade(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Make each quarter of a batch soft, small, tinted or noisy in its own way, as renderings are."""
    parts = torch.tensor_split(pictures, 4) if len(pictures) >= 4 else (pictures,)
    return torch.cat([_degrade(part, rng) for part in parts])


def _degrade(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    size = pictures.shape[-1]
    choice = rng.random()
    if choice < 0.35:
        pictures = blur(pictures, float(rng.uniform(0.4, 1.8)))
    elif choice < 0.6:
        small = functional.interpolate(pictures, size=int(size * rng.uniform(0.4, 0.85)), mode="area")
        pictures = functional.interpolate(small, size=size, mode="bilinear")
    if rng.random() < 0.6:
        tint = torch.from_numpy(rng.normal(0, 0.05, (len(pictures), 3, 1, 1))).float()
        gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(pictures), 1, 1, 1))).float()
        pictures = pictures * gain + tint
    if rng.random() < 0.5:
        # Fine grain, or patches of the size that compression and autoencoders leave.
        grain = torch.randn(len(pictures), 3, *[size // int(rng.choice([1, 1, 2, 4]))] * 2)
        pictures = pictures + float(rng.uniform(0.01, 0.11)) * functional.interpolate(grain, size=size, mode="nearest")
    return pictures.clamp(-1, 1)


def blur(pictures: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, sigma in pixels up to about 2."""
    taps = torch.exp(-(torch.arange(-4, 5) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).repeat(3, 1)
    wide = functional.pad(pictures, (4, 4, 4, 4), mode="replicate")
    wide = functional.conv2d(wide, taps.view(3, 1, 1, 9), groups=3)
    return functional.conv2d(wide, taps.view(3, 1, 9, 1), groups=3)


def zoom(pictures: Tensor, truth: Truth, rng: np.random.Generator) -> tuple[Tensor, Truth]:
    """Show nearer, farther or shifted; faces and objects whose middle leaves the picture are no longer asked for."""
    count = len(pictures)
    scale, shift = np.exp(rng.uniform(-0.2, 0.35, count)), rng.uniform(-10, 10, (count, 2))
    middle = PICTURE_PX / 2
    matrices = np.zeros((count, 2, 3), np.float32)
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / scale
    matrices[:, :, 2] = -shift / middle / scale[:, None]
    grid = functional.affine_grid(torch.from_numpy(matrices), list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)

    def to(places: NDArray[np.float32]) -> NDArray[np.float32]:
        extra = (1,) * (places.ndim - 2)
        new = (places - middle) * scale.reshape(-1, *extra, 1) + middle + shift.reshape(-1, *extra, 2)
        return np.asarray(new, np.float32)

    points, object_places = to(truth.points), to(truth.object_places)
    inside = ((points[:, :, 0] > 2) & (points[:, :, 0] < PICTURE_PX - 2)).all(-1)
    return moved, Truth(
        scenes=truth.scenes,
        objects=truth.objects,
        object_places=object_places,
        people=np.where(inside, truth.people, NONE),
        points=points,
        sizes=np.asarray(truth.sizes * scale[:, None, None], np.float32),
        attributes=truth.attributes,
        traits=truth.traits,
    )


def jittered(landmarks: NDArray[np.float32], rng: np.random.Generator) -> Tensor:
    """Alignment matrices (B, 2, 3) from landmarks (B, 5, 2) that are each a little off, as a detector's are."""
    span = np.linalg.norm(landmarks[:, 0] - landmarks[:, 4], axis=-1)[:, None, None]
    together, each = rng.normal(0, 0.035, (len(landmarks), 1, 2)), rng.normal(0, 0.045, landmarks.shape)
    off = landmarks + span * (together + each)
    return torch.from_numpy(np.stack([alignment(points) for points in off.astype(np.float64)])).float()

"""What the drawn shards show, as arrays, and batches of it on the device that trains.

Whole pictures, mostly with much noise, teach where things go. Crops around a person, with less noise, teach faces and
held things at two fifths of the cost (after patch diffusion, arXiv 2304.12526). Twins, two pictures that differ by one
thing and have the same noise, teach what a word means: the loss counts most where they differ.

Shapes: N pictures of a shard, B batch, C latent channels, h and w latent height and width, K captions a picture,
T text positions, P people a picture, V traits of a person, D text width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from faceid_cli.builtin.captions import caption
from faceid_cli.builtin.draw import UNITS, held_place
from faceid_cli.builtin.draw.picture import Picture
from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import TRAITS
from faceid_cli.builtin.pretrain.networks import TEXT_WIDTH
from faceid_cli.builtin.pretrain.pictures import Example

MAX_PEOPLE = 3
CAPTIONS = 6
NO_CAPTION_SHARE = 0.1  # for classifier-free guidance
UNNAMED_SHARE = 0.12
LATENT_SIZE = 32
CROP_HEIGHT, CROP_WIDTH = 24, 16  # latents; multiples of the denoiser's coarsest step, 8
JITTER = 2  # latents by which a crop is moved at random
# Quantiles of the timesteps that a kind of batch is drawn from, as shares of all timesteps. With more noise than in
# crops the place must be known; beside crops, only a quarter of the whole pictures' timesteps lie below 0.35.
TIMESTEPS = {
    "whole": ((0.0, 0.25, 1.0), (0.0, 0.35, 1.0)),
    "crop": ((0.0, 1.0), (0.02, 0.65)),
    "twin whole": ((0.0, 1.0), (0.10, 0.95)),
    "twin crop": ((0.0, 1.0), (0.05, 0.65)),
}
TWIN_WEIGHT, LEAST_DIFFERENCE = 20.0, 0.15


@dataclass(frozen=True)
class Described:
    """What N pictures show.

    Attributes:
        ids: Token ids of several captions each, int16 (N, K, T), placeholders for names.
        traits: Whose traits, float32 (N, P, V).
        importance: Weight of each place in the loss, uint8 (N, h, w); `importance_of`.
        corners: First row and column of a crop around each person, uint8 (N, P, 2).
        focus: How many of the corners are good places for a crop, uint8 (N,).
    """

    ids: Tensor
    traits: Tensor
    importance: Tensor
    corners: Tensor
    focus: Tensor


def describe(examples: list[Example], captioner: Captioner) -> Described:
    """What pictures show, with captions written by `captioner`."""
    count = len(examples)
    traits = np.zeros((count, MAX_PEOPLE, TRAITS), np.float32)
    corners = np.zeros((count, MAX_PEOPLE, 2), np.uint8)
    focus = np.zeros(count, np.uint8)
    for row, example in enumerate(examples):
        figures = example.picture.figures
        for place, figure in enumerate(figures):
            traits[row, place] = figure.person.vector()
        places = range(len(figures)) if example.twin is None else [example.twin]
        focus[row] = len(places)
        for number, place in enumerate(places):
            corners[row, number] = crop_corner(example.picture, place)
    return Described(
        ids=torch.from_numpy(np.stack([captioner.ids(examples) for _ in range(CAPTIONS)], axis=1).astype(np.int16)),
        traits=torch.from_numpy(traits),
        importance=torch.from_numpy(np.stack([importance_of(example.picture) for example in examples])),
        corners=torch.from_numpy(corners),
        focus=torch.from_numpy(focus),
    )


def importance_of(picture: Picture, size: int = LATENT_SIZE) -> np.ndarray:
    """Where a picture is looked at: 3 at faces, held things and the chess board, 1 elsewhere; uint8 (size, size).

    Faces and things are small; unweighted, the loss cares for little but the scene.
    """
    weights = np.ones((size, size), np.uint8)

    def raise_box(x: float, y: float, half_width: float, half_height: float) -> None:
        left, right = (round((x + side * half_width) * size / UNITS) for side in (-1, 1))
        top, bottom = (round((y + side * half_height) * size / UNITS) for side in (-1, 1))
        weights[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 3

    for figure in picture.figures:
        raise_box(figure.x, figure.y - 4 * figure.scale, 26 * figure.scale, 36 * figure.scale)
        if figure.held:
            raise_box(*held_place(figure), 15 * figure.scale, 17 * figure.scale)
    if picture.shared == "chess":
        center = sum(figure.x for figure in picture.figures) / len(picture.figures)
        raise_box(center, 114, 33, 12)
    return weights


def crop_corner(picture: Picture, place: int, size: int = LATENT_SIZE) -> tuple[int, int]:
    """First row and column of a crop around one of the people, inside latents of size x size."""
    figure = picture.figures[place]
    x, y = figure.x, figure.y + 16 * figure.scale
    if figure.held:  # both face and thing, where they fit
        held_x, held_y = held_place(figure)
        x, y = (figure.x + held_x) / 2, (figure.y + held_y) / 2
    row, column = (
        min(max(round(center * size / UNITS - length / 2), 0), size - length)
        for center, length in ((y, CROP_HEIGHT), (x, CROP_WIDTH))
    )
    return row, column


class Captioner:
    """Turns examples into token ids, with a placeholder name for each person that is called by name.

    Args:
        tokenizer: The built-in model's tokenizer.
        rng: Decides wording and who is named.
    """

    def __init__(self, tokenizer: Any, rng: np.random.Generator) -> None:
        self.tokenizer = tokenizer
        self.rng = rng
        self.placeholders = roster()[:MAX_PEOPLE]

    def ids(self, examples: list[Example]) -> np.ndarray:
        """Token ids of a caption each, (N, T)."""
        texts = [self._text(example) for example in examples]
        ids: np.ndarray = self.tokenizer(texts, padding="max_length", truncation=True, return_tensors="np").input_ids
        return ids

    def _text(self, example: Example) -> str:
        if self.rng.random() < NO_CAPTION_SHARE and example.word is None:
            return ""
        count = len(example.people)
        names: list[str | None] = list(self.placeholders[:count])
        if self.rng.random() < (UNNAMED_SHARE if count == 1 else 3 * UNNAMED_SHARE):
            names = [None] * count
        elif count > 1 and self.rng.random() < 0.15:
            names[int(self.rng.integers(count))] = None
        return caption(example.picture, names, self.rng, example.word)


@dataclass(frozen=True)
class Batch:
    """One step's pictures.

    Attributes:
        latents: (B, C, h, w) float32.
        moments: Timesteps as shares of all of them, (B,) float32 in 0..1.
        noise: As latents.
        importance: Weight of each place in the loss, (B, 1, h, w) float32, of mean 1 in each picture.
        difference: Where a picture differs from its twin, (B, 1, h, w) in 0..1; zero where there is no twin.
        ids: Token ids (B, T) int64.
        traits: Whose traits, (B, P, V).
        people_noise: What moves their embeddings a little, (B, P, 1 + D); `networks.around`.
    """

    latents: Tensor
    moments: Tensor
    noise: Tensor
    importance: Tensor
    difference: Tensor
    ids: Tensor
    traits: Tensor
    people_noise: Tensor


class Pool:
    """Encoded pictures on the device, from which batches are drawn by number, captions included.

    Args:
        device: Where they lie.
        seed: Decides what is drawn.
    """

    def __init__(self, device: str, seed: int) -> None:
        self.device = device
        self.generator = torch.Generator(device).manual_seed(seed)
        self._tensors: dict[str, Tensor] = {}
        self._twins = torch.zeros(0, dtype=torch.long, device=device)  # the first of each two

    def __len__(self) -> int:
        return len(self._tensors["latents"]) if self._tensors else 0

    def add(self, latents: Tensor, described: Described, has_twins: bool, truth: Tensor | None = None) -> None:
        """Take in a shard.

        Args:
            latents: (N, C, h, w) float16.
            described: What they show.
            has_twins: Whether each second picture is the twin of the one before it.
            truth: What counts as their difference, uint8 (N, h, w); None for where twins differ.
        """
        if has_twins:
            first = torch.arange(0, len(latents), 2, device=self.device)
            self._twins = torch.cat([self._twins, len(self) + first])
        if truth is None:
            truth = torch.zeros_like(described.importance)
            if has_twins:
                truth = differences(latents.float()).squeeze(1).mul(255).byte()
        new = {"latents": latents, "truth": truth}
        new |= {field.name: getattr(described, field.name) for field in fields(Described)}
        for name, tensor in new.items():
            parts = [self._tensors[name]] if name in self._tensors else []
            self._tensors[name] = torch.cat([*parts, tensor.to(self.device)])

    def ready(self, kind: str) -> bool:
        """Whether there is something of a kind."""
        return len(self._twins) > 0 if is_of_twins(kind) else len(self) > 0

    def batch(self, kind: str, size: int) -> Batch:
        """Draw a batch.

        Args:
            kind: One of TIMESTEPS.
            size: Pictures of the batch.
        """
        if is_of_twins(kind):
            first = self._twins[self._below(len(self._twins), size // 2)]
            places = torch.stack([first, first + 1], dim=1).flatten()
        else:
            places = self._below(len(self), size)
        drawn = {name: tensor[places] for name, tensor in self._tensors.items() if name != "ids"}
        chosen, importance = drawn["latents"].float(), drawn["importance"].float()[:, None]
        difference = drawn["truth"].float()[:, None] / 255 if is_of_twins(kind) else torch.zeros_like(importance)
        importance = importance * (1 + TWIN_WEIGHT * difference)
        if is_cropped(kind):
            window = self._windows(drawn["corners"], drawn["focus"], kind)
            chosen, importance, difference = (cut(each, window) for each in (chosen, importance, difference))
        return Batch(
            latents=chosen,
            moments=self._moments(kind, size),
            noise=self._shared(self._normal(*chosen.shape), kind),
            importance=importance / importance.mean(dim=(2, 3), keepdim=True),
            difference=difference,
            ids=self._tensors["ids"][places, self._below(CAPTIONS, size)].long(),
            traits=drawn["traits"],
            people_noise=self._shared(self._normal(size, MAX_PEOPLE, 1 + TEXT_WIDTH), kind),
        )

    def _below(self, limit: int, size: int) -> Tensor:
        return torch.randint(limit, (size,), device=self.device, generator=self.generator)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, device=self.device, generator=self.generator)

    def _uniform(self, size: int) -> Tensor:
        return torch.rand(size, device=self.device, generator=self.generator)

    @staticmethod
    def _shared(values: Tensor, kind: str) -> Tensor:
        """What twins have in common: the second has the first's value."""
        return values[::2].repeat_interleave(2, dim=0) if is_of_twins(kind) else values

    def _moments(self, kind: str, size: int) -> Tensor:
        """One timestep from each of B equal parts of the range: less variance than B independent ones."""
        moments = (torch.arange(size, device=self.device) + self._uniform(size)) / size
        shares, quantiles = TIMESTEPS[kind]
        found = torch.full_like(moments, quantiles[0])
        for (start, end), (low, high) in zip(pairwise(shares), pairwise(quantiles), strict=True):
            found = found + ((moments - start) / (end - start)).clamp(0, 1) * (high - low)
        return self._shared(found, kind)

    def _windows(self, corners: Tensor, focus: Tensor, kind: str) -> tuple[Tensor, Tensor]:
        """Rows (B, CROP_HEIGHT) and columns (B, CROP_WIDTH) of a crop of each picture, around one of its corners."""
        size = len(corners)
        person = self._shared((self._uniform(size) * focus).long(), kind)
        moved = torch.stack([self._below(2 * JITTER + 1, size) - JITTER for _ in range(2)], dim=1)
        # A twin that holds nothing would be cut otherwise than the one that does.
        corners = self._shared(corners[torch.arange(size, device=self.device), person].long() + moved, kind)
        rows, columns = (
            corners[:, axis, None].clamp(0, LATENT_SIZE - length) + torch.arange(length, device=self.device)
            for axis, length in enumerate((CROP_HEIGHT, CROP_WIDTH))
        )
        return rows, columns


def is_of_twins(kind: str) -> bool:
    """Whether a kind of batch holds twins, one behind the other."""
    return kind.startswith("twin")


def is_cropped(kind: str) -> bool:
    """Whether a kind of batch holds crops: twice as many as whole pictures, at about the same cost."""
    return kind.endswith("crop")


def cut(pictures: Tensor, window: tuple[Tensor, Tensor]) -> Tensor:
    """Cut a window out of each of (B, C, h, w): (B, C, CROP_HEIGHT, CROP_WIDTH)."""
    rows, columns = window
    numbers = torch.arange(len(pictures), device=pictures.device)
    return pictures[numbers[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def differences(latents: Tensor) -> Tensor:
    """Where twins differ, (B, 1, h, w) in 0..1: distance of their latents, widened by one place, its noise cut off."""
    distance = (latents[::2] - latents[1::2]).norm(dim=1, keepdim=True)
    distance = functional.max_pool2d(distance, 3, stride=1, padding=1)
    distance = distance / distance.amax(dim=(2, 3), keepdim=True).clamp(min=1e-6)
    return torch.where(distance > LEAST_DIFFERENCE, distance, torch.zeros_like(distance)).repeat_interleave(2, dim=0)

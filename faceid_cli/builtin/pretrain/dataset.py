"""Latents, captions and people of the drawn shards, ready for training the denoiser.

Two kinds of batches: whole pictures, mostly with much noise, teach where things go; crops around a person, with less
noise, teach faces and held things at two fifths of the cost (after patch diffusion, arXiv 2304.12526).

Shapes: B batch, C latent channels, h and w latent height and width, T text positions, V traits of a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from faceid_cli.builtin.captions import caption
from faceid_cli.builtin.draw import UNITS, held_place
from faceid_cli.builtin.draw.picture import Picture
from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import TRAITS, Person
from faceid_cli.builtin.pretrain.pictures import Example, shard_examples, shard_file

MAX_PEOPLE = 3
NO_CAPTION_SHARE = 0.1  # for classifier-free guidance
UNNAMED_SHARE = 0.12
CROP_HEIGHT, CROP_WIDTH = 24, 16  # latents; multiples of the denoiser's coarsest step, 8
CROP_NOISE = (0.02, 0.65)  # range of timesteps for crops, as shares of all: with more noise the place must be known
WHOLE_QUANTILES = ((0.0, 0.25, 1.0), (0.0, 0.35, 1.0))  # beside crops, only a quarter of timesteps below 0.35


@dataclass(frozen=True)
class Batch:
    """One step's pictures.

    Attributes:
        latents: (B, C, h, w) float32.
        moments: Timesteps as shares of all of them, (B,) float32 in 0..1.
        importance: Weight of each place in the loss, (B, 1, h, w) float32, of mean 1 in each picture.
        ids: Token ids (B, T).
        rows, positions: Which row and position holds a person, (n,) each.
        traits: Whose traits, (n, V).
    """

    latents: Tensor
    moments: Tensor
    importance: Tensor
    ids: Tensor
    rows: Tensor
    positions: Tensor
    traits: Tensor


def encode_shard(work: Path, shard: int, autoencoder: AutoencoderKL, device: str) -> np.ndarray:
    """Latents of a shard, float16 (SHARD_SIZE, C, h, w), from the cache or encoded now."""
    file = work / "latents" / f"{shard:05d}.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.load(shard_file(work, shard), mmap_mode="r")
        parts = []
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            for start in range(0, len(pixels), 64):
                real = torch.from_numpy(pixels[start : start + 64].copy()).to(device)
                real = real.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
                parts.append(autoencoder.encode(real).latent_dist.mode().half().cpu().numpy())
        partial = file.with_suffix(".partial.npy")
        np.save(partial, np.concatenate(parts))
        partial.replace(file)
    return np.load(file)


def importance_of(picture: Picture, size: int) -> np.ndarray:
    """Where a picture is looked at: 3 at faces, held things and the chess board, 1 elsewhere, scaled to mean 1.

    Faces and things are small; unweighted, the loss cares for little but the scene.
    Returns float32 (size, size).
    """
    weights = np.ones((size, size), np.float32)

    def raise_box(x: float, y: float, half_width: float, half_height: float) -> None:
        left, right = (round((x + side * half_width) * size / UNITS) for side in (-1, 1))
        top, bottom = (round((y + side * half_height) * size / UNITS) for side in (-1, 1))
        weights[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 3

    for figure in picture.figures:
        raise_box(figure.x, figure.y - 4 * figure.scale, 26 * figure.scale, 36 * figure.scale)
        if figure.held:
            raise_box(*held_place(figure), 15 * figure.scale, 17 * figure.scale)
    if picture.shared:
        center = sum(figure.x for figure in picture.figures) / len(picture.figures)
        raise_box(center, 114, 33, 12)
    return weights / weights.mean()


def crop_place(picture: Picture, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a crop around one of the people, inside latents of size x size."""
    figure = picture.figures[int(rng.integers(len(picture.figures)))]
    x, y = figure.x, figure.y + 16 * figure.scale
    if figure.held:  # both face and thing, where they fit
        held_x, held_y = held_place(figure)
        x, y = (figure.x + held_x) / 2, (figure.y + held_y) / 2
    slices = []
    for center, length in ((y, CROP_HEIGHT), (x, CROP_WIDTH)):
        start = round(center * size / UNITS - length / 2 + rng.uniform(-2, 2))
        start = min(max(start, 0), size - length)
        slices.append(slice(start, start + length))
    return slices[0], slices[1]


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
        self.placeholder_ids = [tokenizer.convert_tokens_to_ids(f"{name}</w>") for name in self.placeholders]

    def ids(self, examples: list[Example]) -> tuple[np.ndarray, list[tuple[int, int, Person]]]:
        """Token ids (B, T), and (row, position, person) of every name."""
        texts = [self._text(example) for example in examples]
        ids = self.tokenizer(texts, padding="max_length", truncation=True, return_tensors="np").input_ids
        named = [
            (row, int(position), figure.person)
            for row, example in enumerate(examples)
            for place, figure in enumerate(example.picture.figures)
            for position in np.flatnonzero(ids[row] == self.placeholder_ids[place])
        ]
        return ids, named

    def _text(self, example: Example) -> str:
        if self.rng.random() < NO_CAPTION_SHARE:
            return ""
        count = len(example.people)
        names: list[str | None] = list(self.placeholders[:count])
        if self.rng.random() < (UNNAMED_SHARE if count == 1 else 3 * UNNAMED_SHARE):
            names = [None] * count
        elif count > 1 and self.rng.random() < 0.15:
            names[int(self.rng.integers(count))] = None
        return caption(example.picture, names, self.rng)


class LatentDataset:
    """Encoded shards in memory, sampled at random with fresh captions."""

    def __init__(self, work: Path, autoencoder: AutoencoderKL, device: str, shards: int) -> None:
        drawn = [shard for shard in range(shards) if shard_file(work, shard).exists()]
        self.latents = [encode_shard(work, shard, autoencoder, device) for shard in drawn]
        self.examples = [shard_examples(shard) for shard in drawn]

    def batch(self, size: int, captioner: Captioner, rng: np.random.Generator, crops: float = 0.0) -> Batch:
        """Draw a batch: of twice as many crops with the probability `crops`, else of whole pictures."""
        cropped = rng.random() < crops
        if cropped:
            size *= 2
        places = [(int(rng.integers(len(self.latents))), int(rng.integers(len(self.latents[0])))) for _ in range(size)]
        ids, named = captioner.ids([self.examples[shard][item] for shard, item in places])
        traits = [person.vector() for _, _, person in named]
        latents = torch.from_numpy(np.stack([self.latents[shard][item] for shard, item in places])).float()
        pictures = [self.examples[shard][item].picture for shard, item in places]
        importance = torch.from_numpy(np.stack([importance_of(picture, latents.shape[-1]) for picture in pictures]))
        # One timestep from each of B equal parts of the range: less variance than B independent ones.
        moments = (np.arange(size) + rng.random(size)) / size
        if cropped:
            windows = [crop_place(picture, latents.shape[-1], rng) for picture in pictures]
            latents = torch.stack([whole[:, y, x] for whole, (y, x) in zip(latents, windows, strict=True)])
            importance = torch.stack([whole[y, x] for whole, (y, x) in zip(importance, windows, strict=True)])
            moments = CROP_NOISE[0] + (CROP_NOISE[1] - CROP_NOISE[0]) * moments
        elif crops:
            moments = np.interp(moments, *WHOLE_QUANTILES)
        return Batch(
            latents=latents,
            moments=torch.from_numpy(moments).float(),
            importance=importance.unsqueeze(1),
            ids=torch.from_numpy(ids).long(),
            rows=torch.tensor([row for row, _, _ in named], dtype=torch.long),
            positions=torch.tensor([position for _, position, _ in named], dtype=torch.long),
            traits=torch.from_numpy(np.stack(traits) if traits else np.zeros((0, TRAITS), np.float32)),
        )


class Batches(IterableDataset[Batch]):
    """Endless batches; each of a DataLoader's processes draws its own.

    Args:
        data: What to draw from.
        size: Pictures of a batch.
        tokenizer: The built-in model's tokenizer.
        seed: Numbers that make the draws of this run its own.
        crops: Share of the batches that are crops.
    """

    def __init__(self, data: LatentDataset, size: int, tokenizer: Any, seed: list[int], crops: float = 0.0) -> None:
        self.data, self.size, self.tokenizer, self.seed, self.crops = data, size, tokenizer, seed, crops

    def __iter__(self) -> Iterator[Batch]:
        process = get_worker_info()
        seed = [*self.seed, process.id if process else 0]
        rng = np.random.default_rng([23, *seed])
        captioner = Captioner(self.tokenizer, np.random.default_rng([29, *seed]))
        while True:
            yield self.data.batch(self.size, captioner, rng, self.crops)

"""Training pictures: drawn once into shards of uint8 arrays; what they show is drawn again from the shard's number.

python -m faceid_cli.builtin.pretrain.pictures WORKDIR --shards 16
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.draw.picture import Picture
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.sampling import photo_picture, random_picture
from faceid_cli.builtin.vocabulary import ROSTER_SIZE

SHARD_SIZE = 2048
# Seeds of people: the roster has 0 to ROSTER_SIZE - 1, strangers in training start here, and what lies between
# is never trained on (benchmarks and tests take their people from there).
FIRST_STRANGER = 1_000_000


@dataclass(frozen=True)
class Example:
    """A picture of the training set; `people` are person seeds, one a figure."""

    picture: Picture
    people: tuple[int, ...]


def shard_examples(shard: int, count: int = SHARD_SIZE) -> list[Example]:
    """What the first `count` pictures of a shard show."""
    rng = np.random.default_rng([0xFA, shard])
    return [_example(rng) for _ in range(count)]


def _example(rng: np.random.Generator) -> Example:
    number = int(rng.choice([1, 2, 3], p=[0.70, 0.18, 0.12]))
    people = tuple(
        int(rng.integers(ROSTER_SIZE)) if rng.random() < 0.5 else int(rng.integers(FIRST_STRANGER, 2**31))
        for _ in range(number)
    )
    persons = [person_from_seed(seed) for seed in people]
    if number == 1 and rng.random() < 0.15:
        return Example(photo_picture(persons[0], rng), people)
    return Example(random_picture(persons, rng), people)


def shard_file(work: Path, shard: int) -> Path:
    """Where a shard's pixels are kept: uint8 (SHARD_SIZE, 128, 128, 3)."""
    return work / "pictures" / f"{shard:05d}.npy"


def draw_shard(work: Path, shard: int) -> Path:
    """Draw one shard unless it is there already."""
    file = shard_file(work, shard)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.stack([np.asarray(draw(example.picture).image) for example in shard_examples(shard)])
        partial = file.with_suffix(".partial.npy")
        np.save(partial, pixels)
        partial.replace(file)
    return file


def main() -> None:
    """Draw shards with several processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    shards = range(arguments.first, arguments.first + arguments.shards)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for file in pool.map(draw_shard, [arguments.work] * len(shards), shards):
            print(file, flush=True)


if __name__ == "__main__":
    main()

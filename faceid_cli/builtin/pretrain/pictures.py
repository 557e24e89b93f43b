"""Training pictures: drawn once into shards of uint8 arrays; what they show follows from the shard's number alone.

    python -m faceid_cli.builtin.pretrain.pictures WORKDIR --shards 16

Every fifth shard holds pictures in twos, the second as the first but for one attribute or thing. Drawing, encoding
(`latents`) and training (`diffusion`) may run at the same time: each takes in what the one before has finished.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.draw.picture import Figure, Picture
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.sampling import clashing, holding_hand, photo_picture, random_picture, who_holds
from faceid_cli.builtin.vocabulary import ATTRIBUTES, HELD_OBJECTS, ROSTER_SIZE

SHARD_SIZE, SIZE_PX = 2048, 256
TWINS_EVERY = 5
# Seeds of people: the roster has 0 to ROSTER_SIZE - 1, strangers in training start here, and what lies between
# is never trained on (benchmarks and tests take their people from there).
FIRST_STRANGER = 1_000_000
# Attributes and things that twins differ by in the ordinary training; the first were the hardest to learn.
TWIN_WORDS = ("eyes closed", "cat", "teddy bear") * 2 + ATTRIBUTES + HELD_OBJECTS


@dataclass(frozen=True)
class Example:
    """A picture of the training set.

    Attributes:
        picture: What it shows.
        people: Person seeds, one a figure.
        twin: By which figure it differs from its twin; None of a picture that has none.
        word: What that figure has in one of the two: the caption always says it.
    """

    picture: Picture
    people: tuple[int, ...]
    twin: int | None = None
    word: str | None = None


def shard_examples(shard: int, count: int = SHARD_SIZE) -> list[Example]:
    """What the first `count` pictures of a shard show."""
    rng = np.random.default_rng([0xFA, shard])
    if has_twins(shard):
        return twins(count // 2, TWIN_WORDS, rng)
    return [_example(rng) for _ in range(count)]


def has_twins(shard: int) -> bool:
    """Whether a shard's pictures come in twos."""
    return shard % TWINS_EVERY == TWINS_EVERY - 1


def twins(pairs: int, words: Sequence[str], rng: np.random.Generator) -> list[Example]:
    """Pictures in twos: one in which somebody has one of the words, attribute or thing, and the same without it."""
    examples: list[Example] = []
    while len(examples) < 2 * pairs:
        plain, word = _example(rng), str(rng.choice(words))
        figures, place = plain.picture.figures, int(rng.integers(len(plain.people)))
        if word in HELD_OBJECTS:
            place = who_holds(len(figures), rng)
            figures = tuple(replace(figure, held=None) for figure in figures)
            changed = replace(figures[place], held=word, hand=holding_hand(len(figures), place))
        else:
            figure, others = figures[place], figures[place].attributes - {word}
            if clashing(word, others, figure.person):
                others = frozenset()
            if clashing(word, others, figure.person):
                continue
            figures = _with(figures, place, replace(figure, attributes=others))
            changed = replace(figure, attributes=others | {word})
        shared = None if word in HELD_OBJECTS else plain.picture.shared
        for one in (_with(figures, place, changed), figures):
            picture = replace(plain.picture, figures=one, shared=shared)
            examples.append(replace(plain, picture=picture, twin=place, word=word))
    return examples


def _with(figures: tuple[Figure, ...], place: int, figure: Figure) -> tuple[Figure, ...]:
    return tuple(figure if number == place else other for number, other in enumerate(figures))


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
    """Where a shard's pixels are kept: uint8 (SHARD_SIZE, SIZE_PX, SIZE_PX, 3)."""
    return work / "pictures" / f"{shard:05d}.npy"


def pixels_of(examples: Sequence[Example]) -> np.ndarray:
    """Draw pictures: uint8 (N, SIZE_PX, SIZE_PX, 3)."""
    return np.stack([np.asarray(draw(example.picture, SIZE_PX).image) for example in examples])


def draw_shard(work: Path, shard: int, count: int = SHARD_SIZE) -> Path:
    """Draw one shard unless it is there already."""
    file = shard_file(work, shard)
    if not file.exists():
        write_whole(file, pixels_of(shard_examples(shard, count)))
    return file


def write_whole(file: Path, array: np.ndarray) -> None:
    """Write an array in one move: whoever finds the file finds all of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npy")
    np.save(partial, array)
    partial.replace(file)


def main() -> None:
    """Draw shards with several processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--count", type=int, default=SHARD_SIZE, help="pictures of a shard")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    shards = range(arguments.first, arguments.first + arguments.shards)
    with ProcessPoolExecutor(arguments.processes) as pool:
        count = len(shards)
        for file in pool.map(draw_shard, [arguments.work] * count, shards, [arguments.count] * count):
            print(file, flush=True)


if __name__ == "__main__":
    main()

"""Measure the judge on drawings and people that it has never seen: is it sound, also on soft and noisy pictures?

python -m faceid_cli.builtin.pretrain.judge_check --pictures 600 --output check.json

Faces are embedded, and attributes read, where the judge itself finds the face, as in its use.
"""

from __future__ import annotations

import argparse
import io
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from faceid_cli.builtin.draw import Drawing, draw
from faceid_cli.builtin.judge import Judge, overlap
from faceid_cli.builtin.samples import unseen_person
from faceid_cli.builtin.sampling import random_picture
from faceid_cli.builtin.vocabulary import ATTRIBUTES, OBJECTS
from faceid_cli.types import Face

_FIRST_PERSON, _FIRST_COMPARED, _SEED = 100_000, 200_000, 0x0C
_PICTURES_A_PERSON = 6

Change = Callable[[Image.Image], Image.Image]


def as_drawn(image: Image.Image) -> Image.Image:
    """The picture itself."""
    return image


def blurred(sigma: float) -> Change:
    """Gaussian blur, sigma in pixels."""
    return lambda image: image.filter(ImageFilter.GaussianBlur(sigma))


def shrunk(factor: float) -> Change:
    """Made smaller and brought back to the old size."""
    return lambda image: image.resize(
        (round(image.width * factor), round(image.height * factor)), Image.Resampling.BOX
    ).resize(image.size, Image.Resampling.BICUBIC)


def noisy(deviation: float) -> Change:
    """Gaussian noise, in shares of the full range; the same at every call."""

    def change(image: Image.Image) -> Image.Image:
        noise = np.random.default_rng(0).normal(0, 255 * deviation, (image.height, image.width, 3))
        return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))

    return change


def compressed(quality: int) -> Change:
    """Through a JPEG file."""

    def change(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return change


def autoencoded(folder: Path) -> Change:
    """Through an autoencoder in diffusers' layout, as all renderings go."""
    autoencoder = AutoencoderKL.from_pretrained(folder).eval()

    def change(image: Image.Image) -> Image.Image:
        pixels = torch.from_numpy(np.asarray(image, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        with torch.no_grad():
            made = autoencoder.decode(autoencoder.encode(pixels).latent_dist.mode()).sample[0]
        return Image.fromarray(((made.permute(1, 2, 0).numpy() + 1) * 127.5).clip(0, 255).round().astype(np.uint8))

    return change


CHANGES: dict[str, Change] = {
    "drawn": as_drawn,
    "blurred, 0.7 px": blurred(0.7),
    "blurred, 1.2 px": blurred(1.2),
    "through half size": shrunk(0.5),
    "noise, 5 %": noisy(0.05),
    "JPEG, quality 40": compressed(40),
}


@dataclass(frozen=True)
class Counts:
    """Faces there are, faces found, and how many of those there are were found."""

    true: int
    found: int
    right: int


@dataclass(frozen=True)
class Seen:
    """One face of a person: who, what had been changed about them, and its embedding (E,)."""

    person: int
    attributes: frozenset[str]
    embedding: NDArray[np.float32]


def held_out_drawings(count: int) -> list[Drawing]:
    """Random pictures of one to three unseen people."""
    rng = np.random.default_rng([_SEED, 0])
    drawings = []
    for _ in range(count):
        number = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
        people = [unseen_person(_FIRST_PERSON + int(rng.integers(100_000))) for _ in range(number)]
        drawings.append(draw(random_picture(people, rng)))
    return drawings


def detection(judge: Judge, drawings: list[Drawing], change: Change = as_drawn) -> Counts:
    """Faces found where faces are, by an overlap of at least a half; each counts once."""
    true = found = right = 0
    for drawing in drawings:
        faces = judge.find_faces(change(drawing.image))
        true, found = true + len(drawing.faces), found + len(faces)
        right += sum(at(face, faces) is not None for face in drawing.faces)
    return Counts(true, found, right)


def at(true: Face, faces: list[Face]) -> Face | None:
    """Which of the found faces is the true one."""
    best = max(faces, key=lambda face: overlap(face.box, true.box), default=None)
    return best if best and overlap(best.box, true.box) >= 0.5 else None


def concepts(judge: Judge, drawings: list[Drawing], change: Change = as_drawn) -> dict[str, float]:
    """Accuracy of scenes; of objects and attributes hits (those there are) and rejections (those there are not)."""
    hits = word_hits(judge, drawings, change)
    return {kind: float(np.mean([right for word in words.values() for right in word])) for kind, words in hits.items()}


def word_hits(judge: Judge, drawings: list[Drawing], change: Change = as_drawn) -> dict[str, dict[str, list[bool]]]:
    """For each kind of concept and each word, whether the judge was right, each time that it was asked."""
    kinds = ("scenes", "objects, hits", "objects, rejections", "attributes, hits", "attributes, rejections")
    hits: dict[str, dict[str, list[bool]]] = {kind: defaultdict(list) for kind in kinds}
    for drawing in drawings:
        image, picture = change(drawing.image), drawing.picture
        scenes = judge.scenes(image)
        hits["scenes"][picture.scene].append(max(scenes, key=scenes.__getitem__) == picture.scene)
        shown = {picture.shared, *(figure.held for figure in picture.figures)}
        objects = judge.objects(image)
        for word in OBJECTS:
            kind = "objects, hits" if word in shown else "objects, rejections"
            hits[kind][word].append((objects[word] > 0.5) == (word in shown))
        faces = judge.find_faces(image)
        for figure, true in zip(picture.figures, drawing.faces, strict=True):
            found = judge.attributes(image, at(true, faces) or true)
            for word in ATTRIBUTES:
                truth = figure.bearded if word == "beard" else word in figure.attributes
                kind = "attributes, hits" if truth else "attributes, rejections"
                hits[kind][word].append((found[word] > 0.5) == truth)
    return hits


def person_drawings(people: int) -> list[tuple[int, int, Drawing]]:
    """Six random pictures of each person, alone or with others: (person, which figure it is, drawing)."""
    drawings = []
    for person in range(people):
        rng = np.random.default_rng([_SEED, 1, person])
        for _ in range(_PICTURES_A_PERSON):
            number = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
            figures = [unseen_person(_FIRST_PERSON + int(rng.integers(100_000))) for _ in range(number)]
            place = int(rng.integers(number))
            figures[place] = unseen_person(_FIRST_COMPARED + person)
            drawings.append((person, place, draw(random_picture(figures, rng))))
    return drawings


def person_faces(judge: Judge, drawings: list[tuple[int, int, Drawing]], change: Change = as_drawn) -> list[Seen]:
    """Embed the person of each drawing, with whatever attributes, size, tilt and light the picture gave them."""
    seen = []
    for person, place, drawing in drawings:
        image, true = change(drawing.image), drawing.faces[place]
        face = at(true, judge.find_faces(image)) or true
        seen.append(Seen(person, drawing.picture.figures[place].attributes, judge.embed(image, face)))
    return seen


def verification_auc(faces: list[Seen], only_changed: bool = False) -> float:
    """Chance that two pictures of one person are more alike than pictures of two people.

    Args:
        faces: Some of each person.
        only_changed: Leave out pairs with equal attributes, such as two without any.
    """
    embeddings = np.stack([face.embedding for face in faces])
    first, second = np.triu_indices(len(faces), 1)
    kinds = {attributes: number for number, attributes in enumerate({face.attributes for face in faces})}
    owner = np.array([face.person for face in faces])
    kind = np.array([kinds[face.attributes] for face in faces])
    if only_changed:
        kept = kind[first] != kind[second]
        first, second = first[kept], second[kept]
    same = owner[first] == owner[second]
    order = np.argsort((embeddings @ embeddings.T)[first, second])
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    hits = int(same.sum())
    return float((ranks[same].sum() - hits * (hits - 1) / 2) / (hits * (len(order) - hits)))


def measure(
    judge: Judge, drawings: list[Drawing], people: list[tuple[int, int, Drawing]], change: Change
) -> dict[str, float]:
    """All figures for one kind of picture."""
    counts = detection(judge, drawings, change)
    figures = {"recall": counts.right / counts.true, "precision": counts.right / max(counts.found, 1)}
    faces = person_faces(judge, people, change)
    figures["verification AUC"] = verification_auc(faces)
    figures["verification AUC, attributes changed"] = verification_auc(faces, only_changed=True)
    figures.update(concepts(judge, drawings, change))
    return {key: round(value, 4) for key, value in figures.items()}


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--autoencoder", type=Path, help="also judge pictures that went through it")
    parser.add_argument("--words", action="store_true", help="also print each word's share")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    judge, drawings = Judge.load(arguments.weights), held_out_drawings(arguments.pictures)
    people = person_drawings(arguments.people)
    changes = dict(CHANGES)
    if arguments.autoencoder:
        changes["through the autoencoder"] = autoencoded(arguments.autoencoder)
    report: dict[str, Any] = {}
    for name, change in changes.items():
        report[name] = measure(judge, drawings, people, change)
        print(name, json.dumps(report[name], indent=2), flush=True)
    if arguments.words:
        for kind, words in word_hits(judge, drawings).items():
            print(kind, {word: (round(float(np.mean(right)), 3), len(right)) for word, right in words.items()})
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

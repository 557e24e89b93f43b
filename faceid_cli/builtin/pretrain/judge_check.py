"""Measure the judge on drawings and people that it has never seen: is it sound, also on soft pictures?

    python -m faceid_cli.builtin.pretrain.judge_check --pictures 600 --output check.json
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from faceid_cli.builtin.draw import Drawing, draw
from faceid_cli.builtin.judge import Judge, overlap
from faceid_cli.builtin.samples import unseen_person
from faceid_cli.builtin.sampling import random_picture
from faceid_cli.builtin.vocabulary import ATTRIBUTES, HELD_OBJECTS, OBJECTS, SHARED_OBJECTS

SOFTNESS = {"drawn": 0.0, "blurred, 0.7 px": 0.7, "blurred, 1.2 px": 1.2}
_FIRST_PERSON, _SEED = 100_000, 0x0C
_PICTURES_A_PERSON = 6


@dataclass(frozen=True)
class Counts:
    """What is counted for detection."""

    true: int
    found: int
    right: int


def held_out_drawings(count: int) -> list[Drawing]:
    """Random pictures of one to three unseen people."""
    rng = np.random.default_rng([_SEED, 0])
    drawings = []
    for _ in range(count):
        number = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
        people = [unseen_person(_FIRST_PERSON + int(rng.integers(100_000))) for _ in range(number)]
        drawings.append(draw(random_picture(people, rng)))
    return drawings


def soft(image: Image.Image, sigma: float) -> Image.Image:
    """The picture, blurred."""
    return image.filter(ImageFilter.GaussianBlur(sigma)) if sigma else image


def detection(judge: Judge, drawings: list[Drawing], sigma: float) -> Counts:
    """Faces found where faces are, by an overlap of at least a half."""
    true = found = right = 0
    for drawing in drawings:
        boxes = [face.box for face in judge.find_faces(soft(drawing.image, sigma))]
        true, found = true + len(drawing.faces), found + len(boxes)
        right += sum(any(overlap(box, face.box) >= 0.5 for box in boxes) for face in drawing.faces)
    return Counts(true, found, right)


def concepts(judge: Judge, drawings: list[Drawing], sigma: float) -> dict[str, float]:
    """Accuracy of scene, objects and attributes; for the last two, the mean of hits and correct rejections."""
    scene, objects, attributes = [], defaultdict(list), defaultdict(list)
    for drawing in drawings:
        image, picture = soft(drawing.image, sigma), drawing.picture
        scenes = judge.scenes(image)
        scene.append(max(scenes, key=scenes.__getitem__) == picture.scene)
        shown = {picture.shared, *(figure.held for figure in picture.figures)}
        for word, chance in judge.objects(image).items():
            objects[word in shown].append((chance > 0.5) == (word in shown))
        for figure, face in zip(picture.figures, drawing.faces, strict=True):
            for word, chance in judge.attributes(image, face).items():
                truth = figure.bearded if word == "beard" else word in figure.attributes
                attributes[truth].append((chance > 0.5) == truth)
    return {
        "scene": float(np.mean(scene)),
        f"{len(OBJECTS)} objects, hits": float(np.mean(objects[True])),
        f"{len(OBJECTS)} objects, rejections": float(np.mean(objects[False])),
        f"{len(ATTRIBUTES)} attributes, hits": float(np.mean(attributes[True])),
        f"{len(ATTRIBUTES)} attributes, rejections": float(np.mean(attributes[False])),
    }


def person_embeddings(judge: Judge, people: int, sigma: float) -> NDArray[np.float32]:
    """Embeddings (people, pictures, E) from random pictures, with whatever attributes, objects and light they have."""
    rows = []
    for number in range(people):
        rng = np.random.default_rng([_SEED, 1, number])
        person = unseen_person(200_000 + number)
        drawings = [draw(random_picture([person], rng)) for _ in range(_PICTURES_A_PERSON)]
        rows.append([judge.embed(soft(drawing.image, sigma), drawing.faces[0]) for drawing in drawings])
    return np.array(rows)


def verification_auc(embeddings: NDArray[np.float32]) -> float:
    """Chance that two pictures of one person are more alike than pictures of two people."""
    people, pictures, _ = embeddings.shape
    flat = embeddings.reshape(people * pictures, -1)
    similarity = flat @ flat.T
    owner = np.repeat(np.arange(people), pictures)
    upper = np.triu_indices(len(flat), 1)
    same = owner[upper[0]] == owner[upper[1]]
    values = similarity[upper]
    ranks = np.empty(len(values))
    ranks[np.argsort(values)] = np.arange(len(values))
    hits = int(same.sum())
    return float((ranks[same].sum() - hits * (hits - 1) / 2) / (hits * (len(values) - hits)))


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    assert set(OBJECTS) == {*HELD_OBJECTS, *SHARED_OBJECTS}
    judge, drawings = Judge.load(arguments.weights), held_out_drawings(arguments.pictures)
    report: dict[str, Any] = {}
    for name, sigma in SOFTNESS.items():
        counts = detection(judge, drawings, sigma)
        figures = {"recall": counts.right / counts.true, "precision": counts.right / max(counts.found, 1)}
        figures.update(concepts(judge, drawings, sigma))
        figures["verification AUC"] = verification_auc(person_embeddings(judge, arguments.people, sigma))
        report[name] = {key: round(value, 4) for key, value in figures.items()}
    print(json.dumps(report, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

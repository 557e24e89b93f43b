"""What an evaluation compares with: photos that were held out, else those learned from, of the right person."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import faceid_cli
from faceid_cli import RenderConfig, preset
from faceid_cli.evaluation.judges import Obedience
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.registry.store import Registry
from faceid_cli.types import Box, Face

QUICK = preset("sefi", steps=1, batch_size=1, device="cpu")
RENDER = RenderConfig(steps=1, device="cpu")
PROMPTS = (EvaluationPrompt("{} on the beach", "scene", ("beach",)),)
COLOURS = {"red": (250, 30, 20), "green": (20, 240, 40), "blue": (30, 20, 250)}


def add_run(name: str, **changes: object) -> None:
    """Record another run, as older versions did, like the last one but for some of its settings."""
    with Registry.open() as registry:
        settings = {**registry.runs_of(name)[-1].run.settings, **changes}
        file = registry.file
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (identity_id, created, seconds, resumed_from, settings, losses, scores) "
            "SELECT id, '2026-01-01', 0, 0, ?2, '[]', '{}' FROM identities WHERE name = ?1",
            (name, json.dumps(settings)),
        )


def photo(colour: str, pattern: int) -> Image.Image:
    """Of a colour, and of a pattern that no other photo is a near copy of."""
    light = np.random.default_rng(pattern).uniform(0.2, 1, (8, 8, 1))
    return Image.fromarray((light * COLOURS[colour]).astype(np.uint8)).resize((64, 64), Image.Resampling.NEAREST)


RENDERED = np.array([1.0, 2.0, 4.0])
"""What every rendered picture is to the judge: its likeness to red, green and blue photos tells them apart."""


class ByColour:
    """Takes every picture for a face: a photo's identity is its colour."""

    name, is_drawn_world = "by colour", False

    def find_faces(self, image: Image.Image) -> list[Face]:
        return [Face(Box(0, 0, image.width, image.height), ((8.0, 8.0),) * 5, 1.0)]

    def embed(self, image: Image.Image, face: Face) -> np.ndarray:
        levels = np.asarray(image, dtype=float).mean(axis=(0, 1))
        return np.eye(3)[levels.argmax()] if levels.max() > 3 * np.median(levels) else RENDERED

    def obedience(self, image: Image.Image, face: Face | None, prompt: EvaluationPrompt) -> Obedience:
        return Obedience(1.0, dict.fromkeys(prompt.concepts, True))

    def stranger_similarity(self, references: Sequence[np.ndarray]) -> float:
        return 0.0

    def typical_similarity(self) -> float | None:
        return 1.0


class ByHalf(ByColour):
    """Takes each half of every picture for a face."""

    def find_faces(self, image: Image.Image) -> list[Face]:
        half = image.width // 2
        return [Face(Box(left, 0, half, image.height), ((8.0, 8.0),) * 5, 1.0) for left in (0, half)]

    def embed(self, image: Image.Image, face: Face) -> np.ndarray:
        left, width = int(face.box.x), int(face.box.width)
        return super().embed(image.crop((left, 0, left + width, image.height)), face)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, colour in enumerate(COLOURS):
        photo(colour, number).save(folder / f"{colour}.png")
    return folder


@pytest.fixture
def enroll(photos: Path, tiny_model_dir: Path) -> Callable[..., faceid_cli.Identity]:
    """Enrol somebody from photos of some colours."""

    def make(name: str, *colours: str, **options: object) -> faceid_cli.Identity:
        files = [photos / f"{colour}.png" for colour in colours]
        return faceid_cli.enroll(name, files, config=QUICK, model=str(tiny_model_dir), detect=False, **options)

    return make


def compared_with(
    names: Sequence[str] | str, judge: ByColour | None = None, **options: object
) -> list[tuple[str, ...]]:
    """The colours of the photos that each person's picture was compared with, by the similarity that it was given."""
    each = dict(zip(COLOURS, RENDERED / np.linalg.norm(RENDERED), strict=True))
    sets = [colours for count in (1, 2, 3) for colours in combinations(COLOURS, count)]
    found = []
    for result in faceid_cli.evaluate(names, prompts=PROMPTS, config=RENDER, judge=judge or ByColour(), **options):
        (picture,) = result.pictures
        found += [
            colours
            for colours in sets
            if picture.score.similarity == pytest.approx(np.mean([each[colour] for colour in colours]))
        ]
    return found


def test_pictures_are_compared_with_what_was_held_out_and_not_with_what_was_learned(enroll) -> None:
    enroll("dora", "red", "blue", hold_out=1)
    assert compared_with("dora") == [("blue",)]


def test_without_the_held_out_photo_they_are_compared_with_what_was_learned(enroll, photos) -> None:
    enroll("dora", "red", "blue", hold_out=1)
    photo("green", 7).save(photos / "blue.png")  # another picture under its name
    assert compared_with("dora") == [("red",)]


def test_each_person_is_compared_with_their_own_photos(enroll, photos) -> None:
    enroll("dora", "red", "green")
    enroll("emil", "blue")
    assert compared_with(["dora", "emil"]) == [("red", "green"), ("blue",)]
    assert compared_with(["emil", "dora"], photos=[photos]) == [("blue",), ("red", "green")], "known by their content"


def test_photos_given_for_one_person_all_count(enroll, photos) -> None:
    enroll("dora", "red")
    assert compared_with("dora", photos=[photos / "blue.png"]) == [("blue",)]


def test_the_last_enrolment_says_what_was_held_out(enroll) -> None:
    enroll("dora", "red", "blue", hold_out=1)
    enroll("dora", "blue", "green", hold_out=1, replace=True)
    assert compared_with("dora") == [("green",)]


def test_the_newest_run_says_what_to_compare_with(enroll) -> None:
    enroll("dora", "red", "blue", hold_out=1)
    add_run("dora", held_out_files={})
    assert compared_with("dora") == [("red",)]


@pytest.mark.parametrize(("chosen", "colour"), [("left", "green"), ("right", "blue")])
def test_of_several_faces_in_a_photo_the_one_that_was_chosen_is_compared_with(enroll, photos, chosen, colour) -> None:
    both = photo("green", 8)
    both.paste(photo("blue", 9).crop((32, 0, 64, 64)), (32, 0))
    both.save(photos / "red.png")
    enroll("dora", "red")
    add_run("dora", faces={str((photos / "red.png").absolute()): chosen})
    assert compared_with("dora", ByHalf()) == [(colour,)]

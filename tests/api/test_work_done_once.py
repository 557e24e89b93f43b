"""Dear work is done once in a command: how often it is called, counted wherever it is called from."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
from PIL import Image

import faceid_cli
import faceid_cli.api
import faceid_cli.evaluation
import faceid_cli.report
from faceid_cli import RenderConfig

RENDER = {"steps": 1, "device": "cpu"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of the dear functions is called."""
    # A module that a command imported later would hold the first test's counter for good.
    for room in (faceid_cli.api, faceid_cli.evaluation, faceid_cli.report):
        for module in iter_modules(room.__path__, f"{room.__name__}."):
            import_module(module.name)
    from faceid_cli.backbone import load_base_model
    from faceid_cli.builtin.judge import Judge
    from faceid_cli.faces.finder import finder_for
    from faceid_cli.kept.identity_file import load_identity
    from faceid_cli.model_files.fingerprint import _fingerprint
    from faceid_cli.rendering.prompts import place_people
    from faceid_cli.tokens.encoders import encode_rows
    from faceid_cli.training.data import encode_latents
    from faceid_cli.training.initial import knows_names

    counted: Counter[str] = Counter()
    for function in (
        load_base_model,
        finder_for,
        load_identity,
        _fingerprint,
        place_people,
        encode_rows,
        encode_latents,
        knows_names,
    ):
        _count(monkeypatch, counted, function)
    read = Judge._read

    def reading(path: Path) -> Judge:
        counted["judge"] += 1
        return read(path)

    from faceid_cli.builtin import judge

    judge._shipped.cache_clear()
    monkeypatch.setattr(Judge, "_read", reading)
    return counted


def _count(monkeypatch: pytest.MonkeyPatch, counted: Counter[str], function: Callable[..., Any]) -> None:
    """Count the calls of a function in every module that has it."""

    @wraps(function)
    def counting(*arguments: Any, **named: Any) -> Any:
        counted[function.__name__] += 1
        return function(*arguments, **named)

    for name, module in list(sys.modules.items()):
        if name.startswith("faceid_cli") and vars(module).get(function.__name__) is function:
            monkeypatch.setattr(module, function.__name__, counting)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    faceid_cli.draw_samples(folder, person=3, count=2)
    return folder


@pytest.fixture
def alice(tmp_path: Path, tiny_model_dir: Path) -> faceid_cli.Identity:
    pixels = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return faceid_cli.enroll(
        "alice", tmp_path / "photo.png", steps=1, batch_size=1, device="cpu", model=str(tiny_model_dir), detect=False
    )


def test_an_enrolment(calls: Counter[str], photos: Path) -> None:
    faceid_cli.enroll("alice", photos, steps=1, batch_size=1, device="cpu", model="builtin")
    assert calls["load_base_model"] == 1
    assert calls["finder_for"] == 1
    assert calls["judge"] == 1, "finder, start and training share it"
    assert calls["encode_latents"] == 1
    assert calls["place_people"] == 1, "of the samples' prompt"
    assert calls["load_identity"] == 0
    assert calls["_fingerprint"] <= 1


def test_a_rendering(calls: Counter[str], alice: faceid_cli.Identity) -> None:
    calls.clear()
    faceid_cli.generate("alice", "at night", seed=1, count=3, batch_size=1, **RENDER)
    assert calls["load_base_model"] == 1
    assert calls["load_identity"] == 1
    assert calls["place_people"] == 1
    assert calls["encode_rows"] == 2, "keys and values in one pass, and the negative prompt, for all pictures"
    assert calls["_fingerprint"] == 0, "remembered by the files' sizes and times"


def test_an_evaluation(calls: Counter[str], tmp_path: Path, photos: Path) -> None:
    faceid_cli.enroll("alice", photos, steps=1, batch_size=1, device="cpu", model="builtin")
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("{} on the beach\n{} in the snow\n{}, castle\n", encoding="utf-8")
    calls.clear()
    faceid_cli.evaluate("alice", prompts=prompts, config=RenderConfig(**RENDER))
    assert calls["load_base_model"] == 1
    assert calls["load_identity"] == 1
    assert calls["judge"] == 0, "it is still there from the enrolment"
    assert calls["encode_rows"] == 3 * 2, "two of each prompt"


def test_a_report(calls: Counter[str], alice: faceid_cli.Identity) -> None:
    calls.clear()
    faceid_cli.write_report("alice", config=RenderConfig(**RENDER))
    assert (calls["load_base_model"], calls["load_identity"], calls["place_people"]) == (1, 1, 1)
    assert calls["encode_rows"] == 2 + 2, "once with the person, and once with the class word in their place"
    calls.clear()
    faceid_cli.write_report("alice")
    assert calls["load_base_model"] == 0, "the maps are kept"


def test_a_photo_is_outlined_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from faceid_cli.faces.cutting import IntakeOptions
    from faceid_cli.faces.intake import take_in
    from faceid_cli.faces.sheets import mask_of
    from faceid_cli.types import Box, Face

    class Finder:
        """Sees one face in the middle of everything."""

        is_drawn_world, same_person, can_compare = False, 0.3, True
        outlined = 0

        def find(self, image: Image.Image) -> list[Face]:
            width, height = image.size
            box = Box(0.35 * width, 0.3 * height, 0.3 * width, 0.4 * height)
            spots = ((0.42, 0.42), (0.58, 0.42), (0.5, 0.5), (0.44, 0.6), (0.56, 0.6))
            return [Face(box, tuple((x * width, y * height) for x, y in spots), 0.99)]

        def find_all(self, images: list[Image.Image]) -> list[list[Face]]:
            return [self.find(image) for image in images]

        def outline(self, image: Image.Image, face: Face) -> Image.Image:
            self.outlined += 1
            return Image.new("L", image.size, 255)

        def embed(self, image: Image.Image, face: Face) -> np.ndarray:
            return np.array([1.0], dtype=np.float32)

    finder = Finder()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (200, 200, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{number}.png")
    intake = take_in([Path("0.png"), Path("1.png")], finder, IntakeOptions(64, keep_poor=True))
    masks = [mask_of(crop, finder) for crop in intake.crops]
    assert (len(masks), finder.outlined) == (2, 2)

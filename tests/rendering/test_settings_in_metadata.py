"""What a picture's metadata say is what it was rendered with, setting by setting."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from PIL import Image

from faceid_cli import RenderConfig
from faceid_cli.backbone import BaseModel
from faceid_cli.rendering.generate import render, render_batches
from faceid_cli.rendering.prompts import place_people
from faceid_cli.rendering.record import metadata_of
from faceid_cli.tokens import ENCODER
from faceid_cli.types import IdentityTokens


def somebody(base: BaseModel, seed: int = 0, stages: int = 5) -> IdentityTokens:
    generator = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(stages, 1, base.text_width, generator=generator) for _ in range(2))
    return IdentityTokens({ENCODER: keys}, {ENCODER: values})


def digest(image: Image.Image) -> str:
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def test_every_setting_is_told_as_it_was(tiny_base) -> None:
    settings = {
        "steps": 3,
        "guidance_scale": 2.5,
        "scheduler": "lcm",
        "width": 72,
        "height": 96,
        "negative_prompt": "old",
        "clip_skip": 1,
        "strength": 0.4,
        "likeness": 0.9,
        "likeness_keys": 0.7,
        "likeness_values": 0.8,
        "stages": (1, 3),
        "control_scale": 0.6,
        "hires": 1.25,
        "hires_strength": 0.35,
    }
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8))
    picture = render(
        tiny_base, "<al> at night", {"al": somebody(tiny_base)}, [9], RenderConfig(**settings), init=photo
    )[0]
    found = metadata_of(picture, ["0a"])
    told = {name: getattr(found, name) for name in settings}
    assert told == settings
    assert (found.seed, found.names, found.identity_ids) == (9, ("al",), ("0a",))
    assert found.prompt == "<al> at night"
    assert (found.init, found.mask, found.control) == (digest(photo), "", "")
    assert (found.precision, found.base_fingerprint) == ("float32", tiny_base.fingerprint)


def test_picture_and_mask_are_told_by_their_own_digests(tiny_base) -> None:
    photo, mask = Image.effect_noise((64, 64), 60).convert("RGB"), Image.new("L", (64, 64), 0)
    mask.paste(255, (10, 10, 40, 40))
    found = metadata_of(render(tiny_base, "a cup", {}, [3], RenderConfig(steps=1), init=photo, mask=mask)[0])
    assert (found.init, found.mask) == (digest(photo), digest(mask))


def test_people_are_named_in_the_order_of_the_prompt(tiny_base) -> None:
    people = {"alice": somebody(tiny_base), "bob": somebody(tiny_base, 1)}
    (picture,) = render(tiny_base, "<bob> beside <alice>", people, [0], RenderConfig(steps=1))
    assert picture.request.names == ("bob", "alice")
    assert picture.settings["prompt"] == "<bob> beside <alice>"


def test_words_of_others_stand_beside_people_and_are_none(tiny_base) -> None:
    assert place_people("{alice} in <paint>", ["alice"], ["paint"]) == "<alice> in <paint>"
    assert place_people("in <paint>", ["alice"], ["paint"]) == "a photo of <alice> in <paint>"
    words = {"paint": somebody(tiny_base, 2, stages=1)}
    config = RenderConfig(steps=1)
    (picture,) = render(tiny_base, "<alice> in <paint>", {"alice": somebody(tiny_base)}, [0], config, words=words)
    assert picture.request.names == ("alice",)


def test_how_many_steps_each_stage_had_is_kept_and_told_where_there_are_none(tiny_base) -> None:
    people, notes = {"al": somebody(tiny_base)}, []
    few = RenderConfig(steps=4, scheduler="lcm")
    batches = render_batches(tiny_base, "a photo of <al>", people, [1], few, on_note=notes.append)
    (picture,) = [each for batch in batches for each in batch]
    assert metadata_of(picture).stage_steps == picture.settings["stage_steps"] == (1, 1, 1, 1, 0)
    assert len(notes) == 1
    assert "no step of lcm falls into stage 5 of 5" in notes[0]

    photo, notes = Image.new("RGB", (64, 64)), []
    second = RenderConfig(steps=10, strength=0.6, hires=1.25, hires_strength=0.2)
    batches = render_batches(tiny_base, "a photo of <al>", people, [1], second, init=photo, on_note=notes.append)
    (picture,) = [each for batch in batches for each in batch]
    assert picture.settings["stage_steps"] == (0, 0, 2, 2, 4)
    assert notes == []  # what a picture to start from leaves out at the beginning is what was asked for


def test_no_stage_is_missed_without_a_person(tiny_base) -> None:
    notes: list[str] = []
    batches = render_batches(tiny_base, "a cup", {}, [1], RenderConfig(steps=1), on_note=notes.append)
    assert next(batches)[0].settings["stage_steps"] == (1,)
    assert notes == []

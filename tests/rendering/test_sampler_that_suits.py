"""What is left open of how pictures are sampled is as suits the base model; what is said is honoured."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest

from faceid_cli.errors import UsageError
from faceid_cli.jobs.requests import request_of
from faceid_cli.orders import RenderConfig, RenderOrder
from faceid_cli.orders.replay import render_command
from faceid_cli.orders.sampling import BUILTIN_GUIDANCE_SCALE, BUILTIN_STEPS, FAST, USUAL
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.metadata import from_json, to_json
from faceid_cli.rendering.record import RenderMetadata
from faceid_cli.types import BUILTIN

FEW = USUAL | {"steps": BUILTIN_STEPS, "guidance_scale": BUILTIN_GUIDANCE_SCALE}
QUICK, PLAIN = tuple(FEW.values()), tuple(USUAL.values())
SOFT, FIRM = QUICK[2], PLAIN[2]


@pytest.mark.parametrize(
    ("said", "on_builtin", "on_others"),
    [
        ({}, QUICK, PLAIN),
        ({"steps": 30}, (30, *QUICK[1:]), (30, *PLAIN[1:])),
        ({"guided": 0.5}, (*QUICK[:3], 0.5), (*PLAIN[:3], 0.5)),
        ({"scheduler": "dpm++"}, (20, "dpm++", SOFT, 1.0), (20, "dpm++", FIRM, 1.0)),
        ({"scheduler": "ddim"}, QUICK, PLAIN),
        ({"scheduler": "euler"}, (20, "euler", SOFT, 1.0), (20, "euler", FIRM, 1.0)),
        ({"guidance_scale": 1.0}, (*QUICK[:2], 1.0, 1.0), (*PLAIN[:2], 1.0, 1.0)),
        ({"eta": 0.5}, QUICK, PLAIN),
        ({"fast": True}, (12, "dpm++", SOFT, 0.75), (12, "dpm++", FIRM, 0.75)),
        (USUAL, PLAIN, PLAIN),
    ],
)
def test_what_is_not_said_is_as_suits_the_base_model(said, on_builtin, on_others) -> None:
    assert RenderConfig(**said).suiting(True).sampler == on_builtin
    assert RenderConfig(**said).suiting(False).sampler == on_others


def test_pictures_of_the_built_in_model_take_fewer_steps_and_say_so(tiny_base) -> None:
    base = replace(tiny_base, source=BUILTIN)
    unasked, asked, usual = (
        render(base, "a cup", {}, [3], config)[0]
        for config in (RenderConfig(), RenderConfig(**FEW), RenderConfig(**USUAL))
    )
    assert {name: unasked.settings[name] for name in FEW} == FEW
    assert np.array_equal(np.asarray(unasked.image), np.asarray(asked.image))
    assert {name: usual.settings[name] for name in USUAL} == USUAL
    assert not np.array_equal(np.asarray(unasked.image), np.asarray(usual.image))
    other = render(tiny_base, "a cup", {}, [3], RenderConfig())[0]
    assert np.array_equal(np.asarray(other.image), np.asarray(usual.image))


def _sampler_of(command: str, is_builtin: bool) -> tuple[object, ...]:
    words = shlex.split(command)
    said = {
        name: kind(words[words.index(f"--{name.replace('_', '-')}") + 1])
        for name, kind in (("steps", int), ("scheduler", str), ("guidance_scale", float), ("guided", float))
        if f"--{name.replace('_', '-')}" in words
    }
    return RenderConfig(**said).suiting(is_builtin).sampler


@pytest.mark.parametrize("is_builtin", [True, False])
def test_a_repeated_command_means_the_same_sampler(is_builtin) -> None:
    for steps, scheduler, guidance, guided in product(
        (None, 12, 20, 30), (None, "ddim", "dpm++", "euler"), (None, 3.5, 5.0), (None, 0.75, 1.0)
    ):
        said = {"steps": steps, "scheduler": scheduler, "guidance_scale": guidance, "guided": guided}
        config = RenderConfig(**said).suiting(is_builtin)
        command = render_command(RenderOrder(names=("al",), prompt="x", config=config), 1, is_builtin)
        assert _sampler_of(command, is_builtin) == config.sampler, command
    unasked = RenderOrder(names=("al",), prompt="x", config=RenderConfig().suiting(is_builtin))
    assert render_command(unasked, 1, is_builtin) == "faceid generate al x --seed 1"


def test_requests_count_the_sampler_and_not_how_it_was_said() -> None:
    def request(is_builtin: bool, **said: object) -> str:
        order = RenderOrder(names=("al",), prompt="x", config=RenderConfig(**said).suiting(is_builtin))
        return request_of(order, "x", ["1"], "f", {}, 3)

    assert request(False) == request(False, **USUAL) == request(True, **USUAL)
    assert request(True) == request(True, **FEW) == request(False, **FEW)
    assert request(True) != request(False)


def test_pictures_that_do_not_say_how_they_were_sampled_were_sampled_as_usual() -> None:
    metadata = RenderMetadata(prompt="x", names=("al",), identity_ids=("1",), seed=3, width=64, height=64)
    text = json.loads(to_json(replace(metadata, **FAST)))
    for name in USUAL:
        del text[name]
    found = from_json(json.dumps(text))
    assert found is not None
    assert {name: asdict(found)[name] for name in USUAL} == USUAL


def test_fresh_noise_goes_with_ddim_alone() -> None:
    with pytest.raises(UsageError, match="--eta means nothing to the scheduler dpm"):
        RenderConfig(eta=0.5, scheduler="dpm++")

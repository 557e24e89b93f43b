"""Several people in one picture, on every family: regions beside ControlNets, LoRAs, second passes and batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from PIL import Image

from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.errors import UsageError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.control import Control
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.layouts import Cast, even_grid
from faceid_cli.rendering.scene import read_scene
from faceid_cli.tokens import class_embedding
from faceid_cli.types import IdentityTokens

FAMILIES = ("sd1", pytest.param("sd2", marks=pytest.mark.slow), "sdxl")  # 2.x differs from 1.x in its widths
PROMPT = "a photo of <alice> smiling and <bob> with eyes closed"
SMALL = RenderConfig(steps=2, width=64, height=64)


@pytest.fixture
def load(tiny_families: Any) -> Any:
    return lambda family: load_base_model(str(tiny_families(family).folder), "cpu", "float32")


def somebody(base: BaseModel, seed: int, stages: int = 5) -> IdentityTokens:
    sides = []
    for place in range(2):
        generator = torch.Generator().manual_seed(2 * seed + place)
        words = {each.name: class_embedding(base, "person", each) for each in base.encoders}
        sides.append(
            {
                name: word + 2 * word.std() * torch.randn((stages, 1, word.shape[-1]), generator=generator)
                for name, word in words.items()
            }
        )
    return IdentityTokens(*sides)


def pair(base: BaseModel) -> dict[str, IdentityTokens]:
    return {"alice": somebody(base, 1), "bob": somebody(base, 2)}


def cast(prompt: str = PROMPT) -> Cast:
    scene = read_scene(prompt, {"alice": "person", "bob": "person"})
    return Cast(scene, "left-right", even_grid(len(scene.figures)))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("family", FAMILIES)
def test_people_with_regions_are_rendered_and_the_base_model_stays_as_it_was(load: Any, family: str) -> None:
    base = load(family)
    people = pair(base)
    before = dict(base.unet.attn_processors)
    first, second = render(base, PROMPT, people, [1, 2], SMALL, cast=cast())
    assert dict(base.unet.attn_processors) == before
    (alone,) = render(base, PROMPT, people, [2], SMALL, cast=cast())
    assert np.abs(pixels(second.image) - pixels(alone.image)).max() <= 2
    (plain,) = render(base, PROMPT, people, [1], SMALL)
    assert not np.array_equal(pixels(first.image), pixels(plain.image))
    assert (first.settings["layout"], plain.settings["layout"]) == ("left-right", None)
    assert first.settings["region"] == ("alice=0.01,0.1,0.49,1", "bob=0.51,0.1,0.99,1")
    (without_guidance,) = render(base, PROMPT, people, [1], replace(SMALL, guidance_scale=1.0), cast=cast())
    assert pixels(without_guidance.image).std() > 0


@pytest.mark.parametrize(
    "family", ["sd1", *(pytest.param(family, marks=pytest.mark.slow) for family in ("sd2", "sdxl"))]
)
def test_regions_go_with_a_controlnet_a_second_pass_and_a_mask(load: Any, family: str) -> None:
    base = load(family)
    people = pair(base)
    network = ControlNetModel.from_unet(base.unet).eval().requires_grad_(False)
    with torch.no_grad():
        for weight in network.controlnet_mid_block.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(5)) * 0.1)
    noisy = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    control = Control("image", "tiny", network, noisy)
    (guided,) = render(base, PROMPT, people, [1], SMALL, control=control, cast=cast())
    (free,) = render(base, PROMPT, people, [1], SMALL, cast=cast())
    assert not np.array_equal(pixels(guided.image), pixels(free.image))
    (larger,) = render(base, PROMPT, people, [1], replace(SMALL, hires=2.0), cast=cast())
    assert larger.image.size == (128, 128)
    mask = Image.new("L", (64, 64))
    mask.paste(255, (8, 8, 32, 32))
    (changed,) = render(base, PROMPT, people, [1], SMALL, init=noisy, mask=mask, cast=cast())
    outside = np.asarray(mask) == 0
    assert np.array_equal(pixels(changed.image)[outside], pixels(noisy)[outside])
    assert not np.array_equal(pixels(changed.image), pixels(noisy))


def test_people_of_other_numbers_of_stages_are_refused_and_of_one_stage_fit(load: Any) -> None:
    base = load("sd1")
    with pytest.raises(UsageError, match="different numbers of stages: alice has 5, bob has 3"):
        render(base, PROMPT, {"alice": somebody(base, 1), "bob": somebody(base, 2, 3)}, [1], SMALL, cast=cast())
    people = {"alice": somebody(base, 1), "bob": somebody(base, 2, 1)}
    assert len(render(base, PROMPT, people, [1], SMALL, cast=cast())) == 1


def test_somebody_without_a_name_has_a_region_too(load: Any) -> None:
    base = load("sd1")
    prompt = "a photo of <alice> and an old man"
    (picture,) = render(base, prompt, {"alice": somebody(base, 1)}, [1], SMALL, cast=cast(prompt))
    assert picture.settings["region"] == ("alice=0.01,0.1,0.49,1", "2=0.51,0.1,0.99,1")

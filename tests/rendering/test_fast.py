"""`--fast`, and guidance that ends before the last step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faceid_cli.attention import record_attention
from faceid_cli.orders import RenderConfig, RenderOrder
from faceid_cli.orders.sampling import FAST, USUAL
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import class_embedding
from faceid_cli.types import IdentityTokens


@pytest.fixture
def people(tiny_base) -> dict[str, IdentityTokens]:
    feature = class_embedding(tiny_base, "person").expand(5, 1, -1).cpu()
    return {"al": IdentityTokens({"text_encoder": feature}, {"text_encoder": 1.1 * feature})}


def rows_of(base, people, config: RenderConfig, seeds=(1,)) -> list[int]:
    """How many rows the UNet is given at each step."""
    rows: list[int] = []
    handle = base.unet.register_forward_pre_hook(lambda module, arguments: rows.append(len(arguments[0])))
    render(base, "a photo of <al>", people, seeds, config)
    handle.remove()
    return rows


def test_guidance_ends_after_its_share_of_the_steps(tiny_base, people) -> None:
    assert rows_of(tiny_base, people, RenderConfig(steps=6), (1, 2)) == [4] * 6
    assert rows_of(tiny_base, people, RenderConfig(steps=6, guided=0.5), (1, 2)) == [4] * 3 + [2] * 3
    assert rows_of(tiny_base, people, RenderConfig(steps=5, guided=0.01)) == [2] + [1] * 4
    assert rows_of(tiny_base, people, RenderConfig(steps=3, guided=0.5, guidance_scale=1)) == [1] * 3


def test_steps_without_guidance_are_those_of_the_prompt_alone(tiny_base, people) -> None:
    def picture(**how: object) -> np.ndarray:
        config = RenderConfig(steps=2, **how)
        return np.asarray(render(tiny_base, "a photo of <al>", people, [3], config)[0].image).astype(int)

    whole = picture()
    late = picture(guided=0.5)
    none = picture(guidance_scale=1.0)
    assert np.abs(late - whole).max() > 2
    assert np.abs(late - none).max() > 2
    assert np.array_equal(picture(guided=1.0), whole)


def test_attention_is_that_of_the_prompt_where_guidance_ends(tiny_base, people) -> None:
    with record_attention(tiny_base.unet, keep="mean") as record:
        render(tiny_base, "a photo of <al>", people, [1], RenderConfig(steps=4, guided=0.5))
    for found in record.maps():
        assert found.probabilities.shape[0] == 1
        assert torch.allclose(found.probabilities.sum(dim=-1), torch.ones(1), atol=1e-4)


def test_fast_stands_for_what_is_not_said_otherwise() -> None:
    fast = RenderConfig(fast=True)
    assert {name: getattr(fast, name) for name in FAST} == FAST
    assert fast == RenderConfig(**FAST), "it is not said again"
    said = RenderOrder.of(names=("al",), prompt="x", fast=True, steps=9, scheduler="unipc").config
    assert (said.steps, said.scheduler, said.guided) == (9, "unipc", FAST["guided"])
    assert RenderConfig(fast=True, eta=0.5).suiting(False).sampler == (12, "ddim", USUAL["guidance_scale"], 0.75)
    assert RenderConfig(fast=True, **USUAL).sampler == tuple(USUAL.values()), "also where what is said is what is usual"


def test_fast_takes_a_step_of_every_stage_and_says_how_many(tiny_base, people) -> None:
    settings = render(tiny_base, "a photo of <al>", people, [1], RenderConfig(fast=True))[0].settings
    assert settings["steps"] == FAST["steps"]
    assert sum(settings["stage_steps"]) == FAST["steps"]
    assert min(settings["stage_steps"]) >= 1

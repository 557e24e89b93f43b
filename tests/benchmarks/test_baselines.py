"""benchmarks/baselines: each method learns, and leaves everything that it may not change as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.types import Box, Face, FaceCrop

pytest.importorskip("peft", reason="the benchmarks' own packages: pip install '.[benchmarks]'")

from benchmarks.baselines import METHODS
from benchmarks.baselines.tokens import MaskedAttentionEngine, face_masks

# Of those that start from what the built-in model knows, the other presets test everything but the start.
LEARNING = [name for name in METHODS if name != "base" and "initial_token" not in METHODS[name].defaults.options]
# What a method may change in the UNet while its person is rendered.
CHANGED = {
    "dreambooth-lora": ("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight"),
    "custom-diffusion": ("attn2.to_k.weight", "attn2.to_v.weight"),
}


@pytest.fixture
def crops() -> list[FaceCrop]:
    pixels = np.random.default_rng(5).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    face = Face(Box(16, 8, 32, 32), ((0.0, 0.0),) * 5, 1.0)
    return [
        FaceCrop(Image.fromarray(each).resize((64, 64)), face, f"hash {place}", Path(f"{place}.png"))
        for place, each in enumerate(pixels)
    ]


def weights_of(base) -> dict[str, bytes]:
    modules = {"unet": base.unet, "text_encoder": base.text_encoder, "vae": base.pipeline.vae}
    return {
        f"{part}.{name}": value.numpy().tobytes()
        for part, module in modules.items()
        for name, value in module.state_dict().items()
    }


@pytest.mark.parametrize("name", LEARNING)
def test_a_method_learns_and_leaves_the_base_model_as_found(tiny_base, crops, name) -> None:
    method, before = METHODS[name], weights_of(tiny_base)
    pace = {"dreambooth-lora": 1e-2, "custom-diffusion": 1e-2}.get(name, 5e-2)
    settings = replace(method.defaults, steps=12, batch_size=2, learning_rate=pace)
    learned = method.learn(tiny_base, crops, settings)
    still = method.learn(tiny_base, crops, replace(settings, learning_rate=1e-12))
    # The same noise, timesteps and sentences, once with learning and once without.
    assert np.mean(learned.losses[6:]) < np.mean(still.losses[6:]), "the loss falls"
    assert learned.losses[0] == pytest.approx(still.losses[0], rel=1e-5)
    assert len(learned.losses) == 12
    assert learned.parameters > 0
    assert learned.seconds > 0

    assert weights_of(tiny_base) == before
    for module in (tiny_base.unet, tiny_base.text_encoder, tiny_base.pipeline.vae):
        assert all(not weight.requires_grad and weight.grad is None for weight in module.parameters())
        assert all(not each._forward_hooks and not each._forward_pre_hooks for each in module.modules())

    prompt = "a photo of <x> on the beach"
    with learned.around(prompt):
        inside = weights_of(tiny_base)
        picture = render(tiny_base, prompt, {"x": learned.tokens}, [1], RenderConfig(steps=2))[0].image
    changed = {key for key in before if inside[key] != before[key]}
    assert bool(changed) == (name in CHANGED)
    assert all(key.endswith(CHANGED[name]) for key in changed)
    assert weights_of(tiny_base) == before
    with still.around(prompt):
        other = render(tiny_base, prompt, {"x": still.tokens}, [1], RenderConfig(steps=2))[0].image
    assert picture.tobytes() != other.tobytes(), "what was learned shows in the picture"


def test_a_loss_of_ones_own_takes_the_place_of_the_papers(tiny_base, crops, monkeypatch) -> None:
    settings = replace(METHODS["masked-attention"].defaults, steps=1, batch_size=2, options={"attention_weight": 0.5})
    monkeypatch.setattr(MaskedAttentionEngine, "attention_loss", lambda *rest: torch.tensor(2.0))
    plain = METHODS["textual-inversion"].learn(tiny_base, crops, replace(settings, options={})).losses[0]
    assert METHODS["masked-attention"].learn(tiny_base, crops, settings).losses[0] == pytest.approx(
        plain + 1.0, rel=1e-4
    )


def test_the_prior_is_kept_in_mind(tiny_base, crops) -> None:
    for name in CHANGED:
        method = METHODS[name]
        options = {**method.defaults.options, "prior_weight": 1.0, "prior_pictures": 2}
        settings = replace(method.defaults, steps=2, batch_size=1, options=options)
        without = replace(settings, options=method.defaults.options)
        assert method.learn(tiny_base, crops, settings).losses[0] > method.learn(tiny_base, crops, without).losses[0]


def test_per_layer_tokens_that_are_all_alike_are_textual_inversion(tiny_base, crops) -> None:
    settings = replace(METHODS["per-layer"].defaults, steps=1, batch_size=2, learning_rate=1e-12)
    learned = METHODS["per-layer"].learn(tiny_base, crops, settings)
    plain = METHODS["textual-inversion"].learn(tiny_base, crops, settings)
    assert learned.losses[0] == pytest.approx(plain.losses[0], rel=1e-4)
    prompt, config = "a photo of <x> on the beach", RenderConfig(steps=2)
    with learned.around(prompt):
        first = render(tiny_base, prompt, {"x": learned.tokens}, [1], config)[0].image
    second = render(tiny_base, prompt, {"x": plain.tokens}, [1], config)[0].image
    assert np.abs(np.asarray(first).astype(int) - np.asarray(second).astype(int)).max() <= 1


def test_per_layer_tokens_that_differ_show_in_the_picture(tiny_base, crops) -> None:
    settings = replace(METHODS["per-layer"].defaults, steps=2, batch_size=2, learning_rate=1.0)
    learned = METHODS["per-layer"].learn(tiny_base, crops, settings)
    prompt, config = "a photo of <x> on the beach", RenderConfig(steps=2)
    with learned.around(prompt):
        own = render(tiny_base, prompt, {"x": learned.tokens}, [1], config)[0].image
    mean = render(tiny_base, prompt, {"x": learned.tokens}, [1], config)[0].image
    assert np.abs(np.asarray(own).astype(int) - np.asarray(mean).astype(int)).max() > 1


def test_face_masks_lie_where_the_face_is(crops) -> None:
    mask = face_masks(crops, 8, 8, margin=0.0)[0]
    expected = torch.zeros(8, 8)
    expected[1:5, 2:6] = 1
    assert torch.equal(mask, expected)
    assert face_masks([replace(crops[0], face=None)], 8, 8).min() == 1

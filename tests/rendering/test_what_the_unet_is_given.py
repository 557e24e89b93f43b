"""What the UNet sees while a picture is rendered: both prompts, stage by stage, and what a mask holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from faceid_cli import RenderConfig
from faceid_cli.attention import cross_attention_layers
from faceid_cli.backbone import BaseModel
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import ENCODER, dialled, encode_prompt
from faceid_cli.types import IdentityTokens

PROMPT = "a photo of <al> on the beach"


def person_of(base: BaseModel, stages: int = 5, seed: int = 0) -> IdentityTokens:
    generator = torch.Generator().manual_seed(seed)
    scale = base.text_encoder.get_input_embeddings().weight.std()
    keys, values = (torch.randn(stages, 1, base.text_width, generator=generator) * scale for _ in range(2))
    return IdentityTokens({ENCODER: keys}, {ENCODER: values}, "woman")


@contextmanager
def inputs_of(modules: Mapping[str, torch.nn.Module]) -> Iterator[dict[str, list[torch.Tensor]]]:
    """Note what each module is given, call by call; also what hooks that are added later make of it."""
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in modules}
    handles = [
        module.register_forward_hook(lambda _, given, output, name=name: seen[name].append(given[0].clone()))
        for name, module in modules.items()
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def rendered_with(base: BaseModel, config: RenderConfig, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    """What the first cross-attention layer's keys and values are made of, (steps, rows, T, C) each."""
    layer = next(iter(cross_attention_layers(base.unet).values()))
    with inputs_of({"keys": layer.to_k, "values": layer.to_v}) as seen:
        render(base, PROMPT, {"al": person_of(base)}, [1], config, **options)
    return torch.stack(seen["keys"]), torch.stack(seen["values"])


@pytest.mark.parametrize("timesteps", [1000, 500])
@pytest.mark.parametrize("clip_skip", [0, 1])
def test_each_step_sees_the_negative_prompt_and_then_its_stages_keys_and_values(
    tiny_base, timesteps, clip_skip
) -> None:
    tiny_base.pipeline.scheduler = DDIMScheduler.from_config(
        tiny_base.pipeline.scheduler.config, num_train_timesteps=timesteps
    )
    config = RenderConfig(steps=5, guidance_scale=3.0, negative_prompt="old , at night", clip_skip=clip_skip)
    keys, values = rendered_with(tiny_base, config)
    expected = encode_prompt(tiny_base, PROMPT, {"al": person_of(tiny_base)}, clip_skip)
    negative = encode_prompt(tiny_base, "old , at night", {}, clip_skip).keys
    assert not torch.allclose(expected.keys, expected.values, atol=1e-3)
    for seen, side in ((keys, expected.keys), (values, expected.values)):
        assert torch.allclose(seen[:, 0], negative.expand(5, -1, -1), atol=1e-5)
        assert torch.allclose(seen[:, 1], side, atol=1e-5)


def test_each_side_of_a_split_person_leaves_out_the_same_layers(tiny_base) -> None:
    person = person_of(tiny_base)
    both = encode_prompt(tiny_base, PROMPT, {"al": person}, clip_skip=1)
    for found, side in ((both.keys, person.keys), (both.values, person.values)):
        expected = encode_prompt(tiny_base, PROMPT, {"al": IdentityTokens(side, side)}, clip_skip=1)
        assert torch.allclose(found, expected.keys, atol=1e-5)


def test_the_dials_reach_the_side_and_the_stages_that_they_are_for(tiny_base) -> None:
    config = RenderConfig(steps=5, guidance_scale=1.0, likeness=0.2, likeness_values=0.6, stages=(1, 2, 4))
    keys, values = rendered_with(tiny_base, config)
    moved = dialled(tiny_base, person_of(tiny_base), 0.2, 0.6, (1, 2, 4))
    expected = encode_prompt(tiny_base, PROMPT, {"al": moved})
    assert torch.allclose(keys[:, 0], expected.keys, atol=1e-5)
    assert torch.allclose(values[:, 0], expected.values, atol=1e-5)


def test_words_of_others_also_count_in_the_negative_prompt(tiny_base) -> None:
    words = {"blur": person_of(tiny_base, 1, seed=5)}
    config = RenderConfig(steps=2, guidance_scale=3.0, negative_prompt="<blur> , old")
    keys, values = rendered_with(tiny_base, config, words=words)
    negative = encode_prompt(tiny_base, "<blur> , old", words)
    assert torch.allclose(keys[:, 0], negative.keys.expand(2, -1, -1), atol=1e-5)
    assert torch.allclose(values[:, 0], negative.values.expand(2, -1, -1), atol=1e-5)


def test_what_a_mask_holds_is_the_picture_at_the_noise_of_each_step(tiny_base) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 48, 56))  # so tall that all of the picture is rendered
    config = RenderConfig(steps=5, strength=1.0, guidance_scale=1.0)
    with inputs_of({"unet": tiny_base.unet.conv_in}) as seen:
        render(tiny_base, "a cup", {}, [4], config, init=photo, mask=mask)
    generator = torch.Generator().manual_seed(4)
    pixels = tiny_base.pipeline.image_processor.preprocess(photo)
    with torch.no_grad():
        latents = tiny_base.pipeline.vae.encode(pixels).latent_dist.sample(generator) * 0.7
    drawn = torch.randn(latents.shape, generator=generator)
    held = torch.ones(8, 8, dtype=torch.bool)
    held[2:7, 2:6] = False
    assert len(seen["unet"]) == 5
    for found, timestep in zip(seen["unet"], (999, 799, 599, 399, 199), strict=True):
        expected = tiny_base.pipeline.scheduler.add_noise(latents, drawn, torch.tensor([timestep]))
        assert torch.allclose(found[..., held], expected[..., held], atol=1e-4)
    for found in seen["unet"][1:]:
        assert (found[..., ~held] - expected[..., ~held]).abs().mean() > 0.05, "the rest goes its own way"

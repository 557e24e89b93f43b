"""People of Stable Diffusion XL: keys and values in two text encoders, and a pooled text that is the values' own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from faceid_cli import RenderConfig, TrainConfig
from faceid_cli.attention import split_attention
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import class_embedding, dialled, encode_prompt
from faceid_cli.training.engine import Engine
from faceid_cli.types import FaceCrop, IdentityTokens

STAGES, WIDTH = 5, 64


@pytest.fixture(scope="module")
def base(tiny_families) -> BaseModel:
    """Loaded once: these tests only look on."""
    return load_base_model(str(tiny_families("sdxl").folder), "cpu", "float32")


def person_of(base: BaseModel) -> IdentityTokens:
    """Somebody whose keys and values differ from each other and from stage to stage, at the size of words."""
    generator = torch.Generator().manual_seed(2)
    sides = [
        {
            each.name: torch.randn(STAGES, 1, each.width, generator=generator)
            * each.module.get_input_embeddings().weight.std()
            for each in base.encoders
        }
        for _ in ("keys", "values")
    ]
    return IdentityTokens(*sides)


def pooled_texts(base: BaseModel, unet_calls: list[torch.Tensor]) -> object:
    """Note the pooled text that each call of the UNet takes into its embedding of the timestep, (B, E)."""
    return base.unet.add_embedding.register_forward_pre_hook(lambda _, given: unet_calls.append(given[0][:, :WIDTH]))


def test_a_prompts_pooled_text_is_that_of_the_values(base) -> None:
    tokens = person_of(base)
    alone = {
        side: encode_prompt(base, "a photo of <al>", {"al": IdentityTokens(features, features)}).pooled
        for side, features in (("keys", tokens.keys), ("values", tokens.values))
    }
    pooled = encode_prompt(base, "a photo of <al>", {"al": tokens}).pooled
    assert torch.allclose(pooled, alone["values"], atol=1e-5)
    assert (pooled - alone["keys"]).abs().amax(dim=1).min() > 1e-2


def test_training_gives_the_unet_the_pooled_text_of_each_rows_stage(base) -> None:
    image = Image.effect_noise((base.size_px,) * 2, 90).convert("RGB")
    crops = [FaceCrop(image, None, "hash", Path("p.png"))]
    engine = Engine(base, crops, TrainConfig(attention_weight=0.0, self_attention=False))
    tokens, seen = person_of(base), []
    module = engine.new_state().module
    with torch.no_grad():
        for name, part in module.encoders.items():
            part.embeddings.copy_(torch.cat([tokens.keys[name], tokens.values[name]]).flatten(0, 1))
    handle = pooled_texts(base, seen)
    with split_attention(base.unet, STAGES, base.text_window), torch.no_grad():
        engine.prediction(module, engine.sentences[:2], torch.zeros(2, 4, 8, 8), torch.tensor([250, 999]))
    handle.remove()
    expected = [
        encode_prompt(base, sentence, {"al": tokens}).pooled[stage]
        for sentence, stage in (("a photo of the face of <al>", 3), ("a picture of the face of <al>", 0))
    ]
    assert torch.allclose(seen[0], torch.stack(expected), atol=1e-4)


def test_rendering_gives_the_unet_the_pooled_text_of_each_stage_after_that_of_the_negative_prompt(base) -> None:
    tokens, seen = person_of(base), []
    handle = pooled_texts(base, seen)
    config = RenderConfig(steps=5, guidance_scale=3.0, width=64, height=64, negative_prompt="old")
    render(base, "a photo of <al>", {"al": tokens}, [1], config)
    handle.remove()
    expected, negative = encode_prompt(base, "a photo of <al>", {"al": tokens}).pooled, encode_prompt(base, "old", {})
    assert len(seen) == STAGES
    for stage, (without, with_person) in enumerate(seen):
        assert torch.allclose(without, negative.pooled[0], atol=1e-4)
        assert torch.allclose(with_person, expected[stage], atol=1e-4)


def test_the_pooled_text_follows_the_base_models_own_number_of_timesteps(base) -> None:
    seen: list[torch.Tensor] = []
    handle = pooled_texts(base, seen)
    pooled = torch.arange(float(STAGES)).repeat_interleave(WIDTH).expand(3, -1)
    added = {"text_embeds": pooled, "time_ids": base.time_ids(64, 64).expand(3, -1)}
    context = torch.zeros(3, 2 * STAGES * 77, 96)
    with split_attention(base.unet, STAGES, 77, 500), torch.no_grad():
        base.unet(torch.zeros(3, 4, 8, 8), torch.tensor([499, 250, 0]), context, added_cond_kwargs=added)
    handle.remove()
    assert seen[0].mean(dim=1).tolist() == [0.0, 2.0, 4.0]


def test_a_person_whose_keys_and_values_part_in_one_encoder_alone_has_both(base) -> None:
    whole = person_of(base)
    expected = encode_prompt(base, "<al>", {"al": replace(whole, keys=whole.values)}).values
    for name, other in (("text_encoder", "text_encoder_2"), ("text_encoder_2", "text_encoder")):
        partly = replace(whole, keys={name: whole.keys[name], other: whole.values[other]})
        encoded = encode_prompt(base, "<al>", {"al": partly})
        assert torch.allclose(encoded.values, expected, atol=1e-5)
        assert (encoded.keys - encoded.values).abs().amax(dim=(1, 2)).min() > 1e-2


def test_stages_that_differ_in_one_encoder_alone_are_encoded_apart(base) -> None:
    whole = person_of(base)
    for name in whole.keys:
        alike = {each: part if each == name else part[:1].expand_as(part) for each, part in whole.keys.items()}
        encoded = encode_prompt(base, "<al>", {"al": IdentityTokens(alike, alike)})
        assert (encoded.keys - encoded.keys.roll(1, dims=0)).abs().amax(dim=(1, 2)).min() > 1e-2
        apart = (encoded.pooled - encoded.pooled.roll(1, dims=0)).abs().amax(dim=1).min() > 1e-2
        assert apart == (name == "text_encoder_2"), "the second one's alone is pooled"


def test_the_pooled_text_of_a_prompt_without_people_is_that_of_every_stage(base) -> None:
    alone = encode_prompt(base, "old", {})
    many = alone.with_stages(STAGES)
    assert torch.equal(many.pooled, alone.pooled.expand(STAGES, -1))
    assert torch.equal(many.pooled_context(), alone.pooled.flatten().repeat(STAGES)[None])


def test_without_likeness_each_encoder_reads_its_own_class_word(base) -> None:
    dull = dialled(base, replace(person_of(base), class_word="woman"), 0.0, 1.0)
    for encoder in base.encoders:
        expected = class_embedding(base, "woman", encoder).expand(STAGES, 1, -1)
        assert torch.allclose(dull.keys[encoder.name], expected, atol=1e-6)

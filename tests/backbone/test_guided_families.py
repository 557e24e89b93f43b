"""Masks, ControlNets and second passes on every family, against diffusers' own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLInpaintPipeline,
)
from PIL import Image

from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.backbone.controlnet import load_controlnet
from faceid_cli.errors import UnsupportedModelError
from faceid_cli.model_files.controlnet import find_controlnet
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.control import Control
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.inpaint import plan_patch
from faceid_cli.rendering.passes import initial_noise
from faceid_cli.rendering.schedulers import scheduler_for
from faceid_cli.types import IdentityTokens

FAMILIES = ("sd1", pytest.param("sd2", marks=pytest.mark.slow), "sdxl")  # 2.x differs from 1.x in its widths
PROMPT = "a photo of a woman"
STEPS = 3


def _loaded(tiny_families: Any, family: str) -> BaseModel:
    return load_base_model(str(tiny_families(family).folder), "cpu", "float32")


def _noisy(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def _word_tokens(base: BaseModel, word: str) -> IdentityTokens:
    """A person whose features are an ordinary word's, in every stage, for K and for V."""
    features = {}
    for encoder in base.encoders:
        (token,) = encoder.tokenizer(word, add_special_tokens=False).input_ids
        row = encoder.module.get_input_embeddings().weight[token].detach().clone()
        features[encoder.name] = row.expand(5, 1, -1).clone()
    return IdentityTokens(features, features)


def _lively_controlnet(base: BaseModel) -> Any:
    """A ControlNet that has learned something, in that its last convolutions are not zeros."""
    network = ControlNetModel.from_unet(base.unet)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in [*network.controlnet_down_blocks.parameters(), *network.controlnet_mid_block.parameters()]:
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
    return network.eval().requires_grad_(False)


def _stock(base: BaseModel, kind: Any, kind_xl: Any, **parts: Any) -> Any:
    settings = {"add_watermarker": False} if base.family == "sdxl" else {"requires_safety_checker": False}
    found = (kind_xl if base.family == "sdxl" else kind)(**base.pipeline.components, **parts, **settings)
    found.scheduler = scheduler_for(base, "ddim")
    found.set_progress_bar_config(disable=True)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mask_on_an_ordinary_unet_gives_what_the_stock_inpainting_pipeline_gives(tiny_families, family):
    base, photo = _loaded(tiny_families, family), _noisy(1)
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 56, 56))
    config = RenderConfig(steps=4, strength=0.75, guidance_scale=3.0, negative_prompt="old")
    people = {"alice": _word_tokens(base, "woman")}
    (found,) = render(base, "a photo of a <alice>", people, [7], config, init=photo, mask=mask)
    pipeline = _stock(base, StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline)
    (stock,) = pipeline(
        PROMPT,
        negative_prompt="old",
        image=photo,
        mask_image=mask,
        strength=0.75,
        num_inference_steps=4,
        guidance_scale=3.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(7),
    ).images
    patch = plan_patch(mask, 64, 64)
    assert patch.box == (0, 0, 64, 64)
    difference = np.abs(_pixels(found.image) - _pixels(patch.paste(photo, stock)))
    assert difference.max() <= 2
    changed = np.abs(_pixels(found.image) - _pixels(photo)).max(axis=2) > 0
    assert changed[24:48, 24:48].mean() > 0.9
    assert not changed[np.asarray(mask) == 0].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_untaught_controlnet_changes_nothing(tiny_families, family):
    base = _loaded(tiny_families, family)
    control = Control("depth", "fresh", ControlNetModel.from_unet(base.unet).eval(), _noisy(2))
    config = RenderConfig(steps=STEPS, guidance_scale=3.0)
    people = {"alice": _word_tokens(base, "woman")}
    (plain,), (controlled,) = (render(base, "<alice>", people, [3], config, control=each) for each in (None, control))
    assert np.array_equal(_pixels(plain.image), _pixels(controlled.image))


@pytest.mark.parametrize(
    "family", ["sd1", *(pytest.param(family, marks=pytest.mark.slow) for family in ("sd2", "sdxl"))]
)
def test_equal_keys_and_values_give_what_the_stock_controlnet_pipeline_gives(tiny_families, family):
    base, image = _loaded(tiny_families, family), _noisy(2)
    network = _lively_controlnet(base)
    config = RenderConfig(steps=STEPS, guidance_scale=3.0, negative_prompt="old", control_scale=0.7)
    people = {"alice": _word_tokens(base, "woman")}
    control = Control("depth", "lively", network, image)
    (found,) = render(base, "a photo of a <alice>", people, [3], config, control=control)
    pipeline = _stock(base, StableDiffusionControlNetPipeline, StableDiffusionXLControlNetPipeline, controlnet=network)
    noise, generator = initial_noise(base, 3, 64, 64)
    (stock,) = pipeline(
        PROMPT,
        negative_prompt="old",
        image=image,
        latents=noise,
        generator=generator,
        num_inference_steps=STEPS,
        guidance_scale=3.0,
        controlnet_conditioning_scale=0.7,
        width=64,
        height=64,
    ).images
    assert np.array_equal(_pixels(found.image), _pixels(stock))
    (plain,) = render(base, "a photo of a <alice>", people, [3], config)
    assert np.abs(_pixels(found.image) - _pixels(plain.image)).max() > 10


@pytest.mark.parametrize(
    "family", ["sd1", pytest.param("sd2", marks=pytest.mark.slow)]
)  # that of XL is also told the pooled text, which has the values
def test_the_controlnets_own_attention_sees_keys_and_values_of_each_stage(tiny_families, family):
    base = _loaded(tiny_families, family)
    network = _lively_controlnet(base)
    control = Control("image", "lively", network, _noisy(2))
    woman, cat = (_word_tokens(base, word).keys for word in ("woman", "cat"))
    answers: list[torch.Tensor] = []
    network.register_forward_hook(lambda module, arguments, output: answers.append(output[1].clone()))

    def answers_to(keys: dict[str, torch.Tensor], values: dict[str, torch.Tensor], steps: int) -> list[torch.Tensor]:
        answers.clear()
        people = {"alice": IdentityTokens(keys, values)}
        config = RenderConfig(steps=steps, guidance_scale=1.0)
        render(base, "a <alice>", people, [3], config, control=control)
        return list(answers)

    def difference(first: torch.Tensor, second: torch.Tensor) -> float:
        return float((first - second).abs().max())

    # In the first step the latent pictures are still equal, so only its attention can make a difference.
    plain, *others = (answers_to(*each, 1)[0] for each in ((woman, woman), (woman, cat), (cat, woman)))
    assert all(difference(plain, other) > 1e-4 for other in others)
    late = {name: torch.cat([part[:4], cat[name][4:]]) for name, part in woman.items()}
    differences = [
        difference(*each) for each in zip(answers_to(woman, woman, 5), answers_to(late, late, 5), strict=True)
    ]
    assert max(differences[:4]) < 1e-5
    assert differences[4] > 1e-4
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize(
    "family", ["sd1", *(pytest.param(family, marks=pytest.mark.slow) for family in ("sd2", "sdxl"))]
)
def test_masks_controlnets_and_second_passes_go_together(tiny_families, family):
    base, photo = _loaded(tiny_families, family), _noisy(1)
    control = Control("canny", "lively", _lively_controlnet(base), _noisy(4))
    config = RenderConfig(steps=2, guidance_scale=2.0, strength=1.0)
    people = {"alice": _word_tokens(base, "woman")}
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 56, 56))
    images = [
        render(base, "<alice>", people, [3], config, init=photo, mask=mask, control=each)[0].image
        for each in (None, control)
    ]
    assert np.abs(_pixels(images[0]) - _pixels(images[1]))[20:50, 20:50].max() > 2
    larger = RenderConfig(steps=2, guidance_scale=2.0, hires=1.5)
    first, again = (render(base, "<alice>", people, [3], larger, control=control)[0].image for _ in range(2))
    assert first.size == (96, 96)
    assert np.array_equal(_pixels(first), _pixels(again))


def test_a_controlnet_is_loaded_from_a_folder_and_refused_for_another_family(tiny_families, tmp_path: Path):
    base = _loaded(tiny_families, "sd1")
    network = _lively_controlnet(base)
    network.save_pretrained(tmp_path / "edges")
    files = find_controlnet(str(tmp_path / "edges"))
    assert files.name == "edges"
    loaded = load_controlnet(files, base)
    assert not any(weight.requires_grad for weight in loaded.parameters())
    for (name, kept), given in zip(loaded.state_dict().items(), network.state_dict().values(), strict=True):
        assert torch.equal(kept, given), name
    with pytest.raises(UnsupportedModelError, match=r"another family: its cross_attention_dim is 32") as caught:
        load_controlnet(files, _loaded(tiny_families, "sdxl"))
    assert caught.value.hint == "use a ControlNet for Stable Diffusion XL"

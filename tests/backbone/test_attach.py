"""People in a diffusers pipeline of the user's own: the pictures of `generate`, and the pipeline back as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image

import faceid_cli
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.errors import ModelError, ModelMismatchError, UnknownNameError, UnsupportedModelError, UsageError
from faceid_cli.kept.identity_file import IdentityMetadata, save_identity
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.control import Control
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import arrays_from_tokens
from faceid_cli.types import IdentityTokens

FAMILIES = ("sd1", pytest.param("sd2", marks=pytest.mark.slow), "sdxl")  # 2.x differs from 1.x in its widths
PROMPT = "a photo of <alice> holding a cup"
STEPS = 6
CALL: dict[str, Any] = {"num_inference_steps": STEPS, "guidance_scale": 5.0}


def person(base: BaseModel, seed: int = 0, stages: int = 5, vectors: int = 1) -> IdentityTokens:
    """Somebody whose stages and sides differ as much as words do."""
    generator = torch.Generator().manual_seed(seed)
    sides: list[dict[str, torch.Tensor]] = [{}, {}]
    for encoder in base.encoders:
        scale = encoder.module.get_input_embeddings().weight.std()
        for side in sides:
            side[encoder.name] = torch.randn((stages, vectors, encoder.width), generator=generator) * scale
    return IdentityTokens(*sides, "woman")


def kept(path: Path, name: str, tokens: IdentityTokens) -> Path:
    save_identity(path, *arrays_from_tokens(tokens), IdentityMetadata(name, "woman", "x", "y"))
    return path


def own_pipeline(folder: Path, kind: Any = None, **parts: Any) -> Any:
    """As a user loads it."""
    xl = (folder / "text_encoder_2").is_dir()
    kind = kind or (StableDiffusionXLPipeline if xl else StableDiffusionPipeline)
    pipe = kind.from_pretrained(folder, **parts, **({"add_watermarker": False} if xl else {"safety_checker": None}))
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seeded(seed: int = 7) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def close(first: Image.Image, second: Image.Image) -> bool:
    return bool(np.abs(pixels(first) - pixels(second)).max() <= 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_users_own_pipeline_renders_what_generate_renders(tiny_families, family, tmp_path):
    folder = tiny_families(family).folder
    base = load_base_model(str(folder), "cpu", "float32")
    alice, bob = person(base), person(base, seed=1, stages=1, vectors=2)
    prompt = f"{PROMPT} and <bob>"
    ours = render(base, prompt, {"alice": alice, "bob": bob}, [7], RenderConfig(steps=STEPS, negative_prompt="white"))
    pipe = own_pipeline(folder)
    before = pipe("a cup", generator=seeded(), **CALL).images[0]
    files = (kept(tmp_path / "a.safetensors", "alice", alice), kept(tmp_path / "b.safetensors", "robert", bob))
    with faceid_cli.attach(pipe, files[0], f"{files[1]}:bob") as attached:
        assert attached.names == ("alice", "bob")
        theirs = pipe(prompt, negative_prompt="white", generator=seeded(), **CALL).images[0]
        with pytest.warns(UserWarning, match="marks none of <alice>, <bob>") as warned:
            plain = pipe("a cup", generator=seeded(), **CALL).images[0]
        assert [warning.filename for warning in warned] == [__file__]
    assert close(theirs, ours[0].image)
    assert np.array_equal(pixels(plain), pixels(before)), "prompts without people are the stock pipeline's"
    after = pipe("a cup", generator=seeded(), **CALL).images[0]
    assert np.array_equal(pixels(after), pixels(before))
    assert not pipe.unet._forward_pre_hooks
    assert type(pipe).__call__.__qualname__.startswith("StableDiffusion")


@pytest.mark.parametrize("family", ["sd1", pytest.param("sdxl", marks=pytest.mark.slow)])
def test_a_controlnet_gets_keys_and_values_of_each_stage_too(tiny_families, family, tmp_path):
    folder = tiny_families(family).folder
    base = load_base_model(str(folder), "cpu", "float32")
    network = ControlNetModel.from_unet(base.unet)
    with torch.no_grad():
        for weight in [*network.controlnet_down_blocks.parameters(), *network.controlnet_mid_block.parameters()]:
            weight.copy_(torch.randn(weight.shape, generator=seeded()) * 0.1)
    network.eval()
    hint = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    alice = person(base)
    kind = StableDiffusionXLControlNetPipeline if family == "sdxl" else StableDiffusionControlNetPipeline
    pipe = own_pipeline(folder, kind, controlnet=network)
    faceid_cli.attach(pipe, kept(tmp_path / "a.safetensors", "alice", alice))
    theirs = pipe(PROMPT, image=hint, generator=seeded(), **CALL).images[0]
    control = Control("depth", "x", network, hint)
    ours = render(base, PROMPT, {"alice": alice}, [7], RenderConfig(steps=STEPS), control=control)[0].image
    assert close(theirs, ours)


def test_batches_and_pipelines_that_start_from_pictures(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    base = load_base_model(str(folder), "cpu", "float32")
    file = kept(tmp_path / "a.safetensors", "alice", person(base))
    pipe = own_pipeline(folder)
    prompts = [PROMPT, "a basketball", "<alice>"]
    with faceid_cli.attach(pipe, file):
        seeds = [seeded(number) for number in range(6)]
        many = pipe(prompts, num_images_per_prompt=2, generator=seeds, **CALL).images
        alone = [pipe(prompts[number // 2], generator=seeded(number), **CALL).images[0] for number in (0, 5)]
    stock = pipe("a basketball", generator=seeded(3), **CALL).images[0]
    assert close(many[0], alone[0])
    assert close(many[5], alone[1])
    assert close(many[3], stock), "nobody is in a prompt that marks nobody"
    again = own_pipeline(folder, StableDiffusionImg2ImgPipeline)
    with faceid_cli.attach(again, file):
        found = again(PROMPT, image=stock, strength=0.5, generator=seeded(), num_inference_steps=STEPS).images[0]
    assert not close(found, stock)


def test_the_pipelines_own_textual_inversions_keep_their_meaning(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    base = load_base_model(str(folder), "cpu", "float32")
    alice, toy = person(base), person(base, seed=3, stages=1, vectors=2)
    toy = IdentityTokens(toy.keys, toy.keys)
    ours = render(base, "<alice> with <toy>", {"alice": alice}, [7], RenderConfig(steps=STEPS), words={"toy": toy})
    for token in ("<toy>", "statue"):
        pipe = own_pipeline(folder)
        pipe.load_textual_inversion(toy.keys["text_encoder"][0], token=token)
        with faceid_cli.attach(pipe, kept(tmp_path / "a.safetensors", "alice", alice)):
            theirs = pipe(f"<alice> with {token}", generator=seeded(), **CALL).images[0]
        assert close(theirs, ours[0].image), token


def test_dials_and_refusals(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    base = load_base_model(str(folder), "cpu", "float32")
    file = kept(tmp_path / "a.safetensors", "alice", person(base))
    pipe = own_pipeline(folder)
    with faceid_cli.attach(pipe, file, likeness=0.0):
        nobody = pipe(PROMPT, generator=seeded(), **CALL).images[0]
        with pytest.raises(UsageError, match="attached to this pipeline already"):
            faceid_cli.attach(pipe, file)
        with pytest.raises(UsageError, match="own call"):
            pipe.encode_prompt(PROMPT, "cpu", 1, True)
        with pytest.raises(UsageError, match="mentions <bob>"):
            pipe("<alice> and <bob>")
    woman = pipe(PROMPT.replace("<alice>", "woman"), generator=seeded(), **CALL).images[0]
    assert close(nobody, woman)
    with pytest.raises(UsageError, match="no person"):
        faceid_cli.attach(pipe)
    with pytest.raises(UsageError, match="more than once"):
        faceid_cli.attach(pipe, file, file)
    with pytest.raises(UnknownNameError):
        faceid_cli.attach(pipe, "nobody")
    with pytest.raises(UnsupportedModelError, match="has no unet"):
        faceid_cli.attach(base.unet, file)
    other = own_pipeline(tiny_families("sdxl").folder)
    with pytest.raises(ModelMismatchError, match="width 32, the pipeline's is 32 and 64"):
        faceid_cli.attach(other, file)


def test_sliced_attention_keeps_keys_and_values_apart_and_fused_projections_are_refused(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    base = load_base_model(str(folder), "cpu", "float32")
    pipe = own_pipeline(folder)
    with faceid_cli.attach(pipe, kept(tmp_path / "a.safetensors", "alice", person(base))):
        whole = pipe(PROMPT, generator=seeded(), **CALL).images[0]
        pipe.enable_attention_slicing()
        assert close(pipe(PROMPT, generator=seeded(), **CALL).images[0], whole)
        pipe.disable_attention_slicing()
        pipe.fuse_qkv_projections()
        with pytest.raises(ModelError, match="projections are fused"):
            pipe(PROMPT, generator=seeded(), **CALL)


def test_one_prompt_for_both_encoders(tiny_families, tmp_path):
    folder = tiny_families("sdxl").folder
    base = load_base_model(str(folder), "cpu", "float32")
    pipe = own_pipeline(folder)
    attached = faceid_cli.attach(pipe, kept(tmp_path / "a.safetensors", "alice", person(base)))
    with attached, pytest.raises(UsageError, match="prompt_2 cannot be another text"):
        pipe(PROMPT, prompt_2="something else", generator=seeded(), **CALL)


def test_loras_of_the_pipeline_take_part(tiny_families, tmp_path):
    peft = pytest.importorskip("peft")
    folder = tiny_families("sd1").folder
    base = load_base_model(str(folder), "cpu", "float32")
    pipe = own_pipeline(folder)
    with faceid_cli.attach(pipe, kept(tmp_path / "a.safetensors", "alice", person(base))):
        before = pipe(PROMPT, generator=seeded(), **CALL).images[0]
        pipe.unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_k", "to_v"]), "one")
        with_nothing_learned = pipe(PROMPT, generator=seeded(), **CALL).images[0]
        with torch.no_grad():
            for name, weight in pipe.unet.named_parameters():
                if "lora_B" in name:
                    weight.copy_(torch.randn(weight.shape, generator=seeded()))
        learned = pipe(PROMPT, generator=seeded(), **CALL).images[0]
        off = pipe(PROMPT, cross_attention_kwargs={"scale": 0.0}, generator=seeded(), **CALL).images[0]
    assert close(with_nothing_learned, before)
    assert not close(learned, before)
    assert close(off, before)


def test_text_encoders_may_have_another_type_than_the_unet(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    base = load_base_model(str(folder), "cpu", "float32")
    pipe = own_pipeline(folder)
    pipe.text_encoder.half()
    with faceid_cli.attach(pipe, kept(tmp_path / "a.safetensors", "alice", person(base))):
        half = pipe(PROMPT, generator=seeded(), **CALL).images[0]
        pipe.text_encoder.float()
        whole = pipe(PROMPT, generator=seeded(), **CALL).images[0]
    assert np.abs(pixels(half) - pixels(whole)).mean() < 5

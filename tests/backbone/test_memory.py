"""What is kept for the backward pass, and which parts are compiled."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from faceid_cli.attention import cross_attention_layers
from faceid_cli.backbone import BaseModel, compiling, load_base_model, memory
from faceid_cli.backbone.autoencoder import in_float32
from faceid_cli.backbone.lean import lean_backward
from faceid_cli.backbone.load import _dtype
from faceid_cli.errors import OutOfMemoryError
from faceid_cli.orders import ModelOptions, RenderConfig, TrainConfig
from faceid_cli.rendering.generate import render
from faceid_cli.training import train_identity
from faceid_cli.types import FaceCrop

QUICK = TrainConfig(steps=2, batch_size=2, seed=3, attention_weight=0.1)


@pytest.fixture
def load(tiny_families):
    def get(family: str, **options: Any) -> BaseModel:
        return load_base_model(str(tiny_families(family).folder), "cpu", "float32", ModelOptions(**options))

    return get


def crops() -> list[FaceCrop]:
    pixels = np.random.default_rng(5).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return [FaceCrop(Image.fromarray(pixels).resize((64, 64)), None, "a hash", Path("0.png"))]


def prediction(unet: nn.Module, text: torch.Tensor) -> torch.Tensor:
    rows = len(text)
    noisy = torch.randn(rows, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    added = {}
    if unet.config.addition_embed_type:
        added = {"added_cond_kwargs": {"text_embeds": torch.ones(rows, 64), "time_ids": torch.ones(rows, 6)}}
    return unet(noisy, torch.tensor([900, 30][:rows]), text, **added).sample


def texts(unet: nn.Module, rows: int = 2) -> torch.Tensor:
    shape = (rows, 77, int(unet.config.cross_attention_dim))
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)).requires_grad_()


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_lean_pass_gives_the_same_bits(load, family):
    unet, found = load(family).unet, []
    for context in (nullcontext(), lean_backward(unet)):
        text = texts(unet)
        with context:
            output = prediction(unet, text)
            output.square().mean().backward()
        found.append((output.detach(), text.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][1].abs().max() > 0


def test_a_lean_pass_keeps_less_than_half(load):
    unet, kept = load("sd1").unet, []
    for context in (nullcontext(), lean_backward(unet)):
        text = texts(unet, rows=1)
        with context, torch.profiler.profile(profile_memory=True) as profile:
            output = prediction(unet, text)
        kept.append(sum(event.self_cpu_memory_usage for event in profile.key_averages()))
        del output
    assert kept[0] > 1_000_000
    assert kept[1] < 0.5 * kept[0]


def test_afterwards_the_network_is_as_before(load):
    unet = load("sd1").unet
    before = {name: set(vars(module)) for name, module in unet.named_modules()}
    with lean_backward(unet):
        assert "forward" in vars(unet.conv_in)
    assert {name: set(vars(module)) for name, module in unet.named_modules()} == before
    assert not any(module._forward_hooks for module in unet.modules())


def test_large_networks_learn_the_same(load, monkeypatch):
    base = load("sd1")
    plain = train_identity(base, crops(), QUICK)[0]
    monkeypatch.setattr(memory, "_LARGE_BYTES", 0)
    lean = train_identity(base, crops(), QUICK)[0]
    assert torch.equal(plain.keys["text_encoder"], lean.keys["text_encoder"])
    assert torch.equal(plain.values["text_encoder"], lean.values["text_encoder"])


def test_cross_attention_is_not_compiled(load):
    base = load("sd1")
    parts = compiling.parts_to_compile(base.unet, base.pipeline.vae)
    compiled = {module for part in parts for module in part.modules()}
    assert len(parts) > 20
    assert not compiled & set(cross_attention_layers(base.unet).values())
    assert base.unet.mid_block.attentions[0].transformer_blocks[0].attn1 in compiled


def test_without_a_compiler_the_model_runs_as_ever(load, monkeypatch):
    def no_compiler(*_: object, **__: object) -> None:
        raise RuntimeError("no working C++ compiler\nmore lines")

    monkeypatch.setattr(torch, "compile", no_compiler)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    base = load("sd1", compile=True)
    assert not base.compiled
    assert base.notes == ("--compile does nothing here: no C++ compiler was found",)
    assert render(base, "a cup", {}, [1], RenderConfig(steps=1, width=64, height=64))[0].image.size == (64, 64)


def check_compiled(plain: BaseModel, base: BaseModel) -> None:
    assert base.compiled
    assert base.notes == ()
    tokens = [train_identity(each, crops(), QUICK)[0] for each in (plain, base)]
    assert torch.allclose(tokens[0].keys["text_encoder"], tokens[1].keys["text_encoder"], atol=1e-3)
    config = RenderConfig(steps=2, width=64, height=64)
    pictures = [render(each, "<al>, a cup", {"al": tokens[0]}, [1], config)[0].image for each in (plain, base)]
    first, second = (np.asarray(picture, dtype=int) for picture in pictures)
    assert np.abs(first - second).max() <= 3


@pytest.mark.slow
def test_traced_parts_work_under_the_hooks(load, monkeypatch):
    whole = nn.Module.compile
    monkeypatch.setattr(compiling, "_why_not", lambda device: "")
    monkeypatch.setattr(nn.Module, "compile", lambda module: whole(module, backend="aot_eager"))
    check_compiled(load("sd1"), load("sd1", compile=True))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_compiled_model_draws_the_same_picture(load):
    check_compiled(load("sd1"), load("sd1", compile=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_parts_are_on_the_gpu_only_while_they_work(tiny_families, family):
    options = ModelOptions(low_vram=True)
    base = load_base_model(str(tiny_families(family).folder), "cuda", "float32", options)
    train_identity(base, crops(), QUICK)
    assert render(base, "a cup", {}, [1], RenderConfig(steps=1, width=64, height=64))[0].image.size == (64, 64)
    assert {module.device.type for module in base.modules} == {"cpu"}
    with memory.at_work(base, "text"):
        assert {module.device.type for module in base.parts("text")} == {"cuda"}
        assert base.unet.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_autoencoder_leaves_the_gpu_while_a_person_is_learned(tiny_families):
    base = load_base_model(str(tiny_families("sd1").folder), "cuda", "float32")
    with memory.ready_to_learn(base):
        assert base.pipeline.vae.device.type == "cpu"
        assert base.unet.device.type == "cuda"
    assert base.pipeline.vae.device.type == "cuda"


def test_what_a_step_without_room_had_made_is_gone_before_the_autoencoder_comes_back(load, monkeypatch):
    """On a GPU there would be no room for it."""
    base, held, looked = load("sd1"), [], []

    @contextmanager
    def at_rest(base: BaseModel, *parts: str) -> Iterator[None]:
        try:
            yield
        finally:
            looked.append([each() for each in held])

    def no_room(module: torch.nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        held.append(weakref.ref(made))
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(memory, "at_rest", at_rest)
    base.unet.conv_out.register_forward_hook(no_room)
    with pytest.raises(OutOfMemoryError):
        train_identity(base, crops(), QUICK)
    assert looked[-1] == [None]


def test_an_autoencoder_that_was_cast_half_is_whole_again(load, monkeypatch):
    vae = load("sd1").pipeline.vae.to(torch.float16)
    cast, tries = vae.decoder._apply, []

    def no_room_at_first(function, **named):
        tries.append(function)
        if len(tries) == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return cast(function, **named)

    monkeypatch.setattr(vae.decoder, "_apply", no_room_at_first)
    with pytest.raises(torch.cuda.OutOfMemoryError), in_float32(vae):
        pass
    assert {weight.dtype for weight in vae.parameters()} == {torch.float16}


@pytest.mark.parametrize(("generation", "expected"), [(7, torch.float16), (9, torch.bfloat16)])
def test_bfloat16_is_for_cards_that_have_it_natively(monkeypatch, generation, expected):
    card = SimpleNamespace(major=generation)
    names = {"is_available": True, "current_device": 0, "get_device_properties": card, "device": nullcontext()}
    for name, answer in names.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda *_: True)
    assert _dtype("auto", torch.device("cuda")) == expected

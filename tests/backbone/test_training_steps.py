"""A training step: how many operators it launches, and that it can be captured in a CUDA graph."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.checkpoints import stock_steps
from faceid_cli.attention import record_attention, split_attention
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.orders import TrainConfig
from faceid_cli.training import train_identity
from faceid_cli.training.data import Batch
from faceid_cli.training.engine import Engine
from faceid_cli.training.step import Stepper
from faceid_cli.types import BUILTIN, FaceCrop


class Launched(TorchDispatchMode):
    """Notes what reaches the kernels: each operator's name, and those that are given a tensor on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.from_cpu: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        name = str(function)
        self.names[name] += 1
        if any(isinstance(each, torch.Tensor) and each.device.type == "cpu" for each in arguments):
            self.from_cpu.add(name)
        return function(*arguments, **(named or {}))


@pytest.fixture
def base_of(tiny_families):
    def load(family: str) -> BaseModel:
        source = BUILTIN if family == BUILTIN else str(tiny_families(family).folder)
        return load_base_model(source, "cpu", "float32")

    return load


def crops(count: int, size: int = 64) -> list[FaceCrop]:
    pixels = np.random.default_rng(5).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return [FaceCrop(Image.fromarray(each), None, f"hash {n}", Path(f"{n}.png")) for n, each in enumerate(pixels)]


def profiled(work: Any) -> int:
    """How many operators some work calls."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        work()
    return sum(event.name.startswith("aten::") for event in profile.events())


def test_a_step_calls_hardly_more_operators_than_one_of_textual_inversion(base_of) -> None:
    """On a GPU the calls, not the kernels, take the time; the attention loss of all layers must cost but a few."""
    base = base_of("sd1")
    stock = stock_steps(base, base.size_px, batch=4)
    next(stock)
    theirs = profiled(lambda: next(stock))
    engine = Engine(base, crops(1), TrainConfig(steps=9, batch_size=4))
    state = engine.new_state()
    stepper = Stepper([engine], [state])
    with split_attention(base.unet, 5, base.text_window), record_attention(base.unet) as record:
        stepper.step(record)
        ours = profiled(lambda: stepper.step(record))
    assert theirs > 10_000
    assert ours <= 1.1 * theirs


@pytest.mark.parametrize(
    ("family", "class_word", "space"),
    [
        ("sd1", "old man", "auto"),
        pytest.param("sdxl", "person", "auto", marks=pytest.mark.slow),
        (BUILTIN, "person", "names"),
    ],
)
def test_nothing_in_a_step_waits_for_a_gpu_or_feeds_it_from_the_cpu(base_of, family, class_word, space) -> None:
    """Either would end the capture of a step. Tensors without content show it on machines without a GPU, too."""
    base = base_of(family)
    config = TrainConfig(steps=9, batch_size=3, class_word=class_word, initial_token="class", token_space=space)
    engine = Engine(base, crops(2, base.size_px), config)
    state, mode = engine.new_state(), FakeTensorMode()
    batch = Batch(*(on_fake_gpu(part, mode) for part in state.draws.draw(3)))
    engine = moved_to_fake_gpu(engine, mode)
    move_to_fake_gpu(state.module, mode)
    launched = Launched()
    with ExitStack() as stack:
        stack.enter_context(mode)
        stack.enter_context(torch.no_grad())  # backward passes need a device that exists
        stack.enter_context(split_attention(engine.base.unet, 5, base.text_window))
        record = stack.enter_context(record_attention(engine.base.unet))
        stack.enter_context(launched)
        losses = engine.losses(state.module, batch, record)
    assert {loss.device.type for loss in losses} == {"cuda"}
    assert sum(launched.names.values()) > 1_000
    assert launched.from_cpu == set()


def test_the_backward_pass_reads_nothing_from_the_device(base_of) -> None:
    base = base_of("sd1")
    engine = Engine(base, crops(1), TrainConfig(steps=9, batch_size=2, class_word="old man"))
    state, launched = engine.new_state(), Launched()
    with split_attention(base.unet, 5, base.text_window), record_attention(base.unet) as record:
        losses = engine.losses(state.module, state.draws.draw(2), record)
        with launched:
            torch.autograd.grad(losses.total(engine.config), list(state.module.parameters()))
    assert launched.names["aten.convolution_backward.default"] > 50
    assert not [name for name in launched.names if "_local_scalar_dense" in name or "nonzero" in name]


def on_fake_gpu(tensor: Any, mode: FakeTensorMode) -> Any:
    """The shape of a tensor on a GPU that need not exist."""
    if isinstance(tensor, dict):
        return {name: on_fake_gpu(part, mode) for name, part in tensor.items()}
    if not isinstance(tensor, torch.Tensor):
        return tensor
    fake = mode.from_tensor(tensor.detach())
    with mode:
        return fake.to("cuda")


def move_to_fake_gpu(module: nn.Module, mode: FakeTensorMode) -> None:
    for each in module.modules():
        for name, weight in list(each._parameters.items()):
            if weight is not None:
                each._parameters[name] = nn.Parameter(on_fake_gpu(weight, mode), requires_grad=weight.requires_grad)
        for name, buffer in list(each._buffers.items()):
            each._buffers[name] = on_fake_gpu(buffer, mode)


def moved_to_fake_gpu(engine: Engine, mode: FakeTensorMode) -> Engine:
    for module in engine.base.modules:
        move_to_fake_gpu(module, mode)
    engine.base = replace(engine.base, device=torch.device("cuda"))
    for name, value in list(vars(engine).items()):
        setattr(engine, name, on_fake_gpu(value, mode))
    sentences = engine.sentences
    parts = {name: on_fake_gpu(value, mode) for name, value in vars(sentences).items()}
    if sentences.alignment is not None:
        sides = {name: on_fake_gpu(side, mode) for name, side in vars(sentences.alignment).items()}
        parts["alignment"] = replace(sentences.alignment, **sides)
    engine.sentences = replace(sentences, **parts)
    return engine


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_replayed_steps_learn_what_launched_ones_do(tiny_families, family) -> None:
    found, notes = [], []
    for capture in (False, True):
        base = load_base_model(str(tiny_families(family).folder), "cuda", "float32")
        config = TrainConfig(steps=20, batch_size=3, capture=capture, average_last=5)
        found.append(train_identity(base, crops(2), config, on_note=notes.append))
    assert notes == []
    (launched, report), (replayed, again) = found
    for name, keys in launched.keys.items():
        assert torch.allclose(keys, replayed.keys[name], atol=1e-3)
    assert [loss for loss, _ in again.losses] == pytest.approx([loss for loss, _ in report.losses], rel=1e-3)

"""What a sampler step costs beside the stock pipeline's: nearly nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from faceid_cli.backbone import BaseModel
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.schedulers import scheduler_for
from faceid_cli.tokens import ENCODER, class_embedding
from faceid_cli.types import IdentityTokens


class Launched(TorchDispatchMode):
    """Counts the operators that are launched, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        self.names[str(function)] += 1
        return function(*arguments, **(named or {}))


def launched(work: Callable[[int], object], steps: int) -> Counter[str]:
    with Launched() as counter:
        work(steps)
    return counter.names


def ours(base: BaseModel) -> Callable[[int], object]:
    """Renders a person whose keys, values and stages all differ."""
    word = class_embedding(base, "person")
    keys, values = (torch.stack([scale * stage * word for stage in range(1, 6)])[:, None] for scale in (1.0, 1.1))
    tokens = {"al": IdentityTokens({ENCODER: keys}, {ENCODER: values})}
    return lambda steps: render(base, "a photo of <al>", tokens, [1], RenderConfig(steps=steps, width=64, height=64))


def theirs(base: BaseModel) -> Callable[[int], object]:
    def work(steps: int) -> None:
        base.pipeline.scheduler = scheduler_for(base, "ddim", steps)
        base.pipeline("a photo of person", num_inference_steps=steps, width=64, height=64)

    return work


def test_a_sampler_step_launches_hardly_more_than_the_stock_pipelines(tiny_base) -> None:
    added = {
        name: launched(work, 30).total() - launched(work, 10).total()
        for name, work in (("ours", ours(tiny_base)), ("theirs", theirs(tiny_base)))
    }
    assert added["theirs"] > 20 * 300
    assert added["ours"] <= 1.01 * added["theirs"]


def test_texts_are_cut_once_a_stage(tiny_base) -> None:
    """And not once a step, of which there are four to a stage."""
    stock, found = launched(theirs(tiny_base), 20), launched(ours(tiny_base), 20)
    assert found["aten.index_select.default"] - stock["aten.index_select.default"] == 5

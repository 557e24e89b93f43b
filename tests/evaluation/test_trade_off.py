"""evaluation/trade_off.py: the likeness that suits a prompt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faceid_cli.evaluation.judges import Obedience
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.trade_off import TradeOff, best_trade_off, trade_offs
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import ENCODER
from faceid_cli.types import Box, Face, IdentityTokens

LIKENESS = Likeness((np.array([1.0, 0.0]),), 0.0, 1.0)


class ByPixels:
    """The identity is the mean red, every prompt is obeyed; remembers what it saw."""

    name, is_drawn_world = "by pixels", True

    def __init__(self) -> None:
        self.seen = []

    def find_faces(self, image):
        return [Face(Box(0, 0, 32, 32), ((8.0, 8.0),) * 5, 1.0)]

    def embed(self, image, face):
        red = np.asarray(image)[..., 0].mean() / 255
        return np.array([red, (1 - red**2) ** 0.5])

    def obedience(self, image, face, prompt):
        self.seen.append((prompt, image.tobytes()))
        return Obedience(1.0, dict.fromkeys(prompt.concepts, True))


@pytest.fixture
def somebody(tiny_base) -> IdentityTokens:
    generator = torch.Generator().manual_seed(1)
    sides = [10 * torch.randn(5, 1, tiny_base.text_width, generator=generator) for _ in "kv"]
    return IdentityTokens({ENCODER: sides[0]}, {ENCODER: sides[1]}, "person")


def test_every_level_is_rendered_with_the_same_seeds(tiny_base, somebody) -> None:
    judge, prompt = ByPixels(), EvaluationPrompt("{} on the beach", "your own", ("beach",))
    config = RenderConfig(steps=2, likeness_keys=0.1)
    found = trade_offs(
        tiny_base, judge, LIKENESS, somebody, "x", "<x> on the beach", prompt, config, (0.0, 1.0), (5, 6)
    )
    assert [each.likeness for each in found] == [0.0, 1.0]
    plain = render(tiny_base, "<x> on the beach", {"x": somebody}, [5, 6], RenderConfig(steps=2))
    assert [picture for _, picture in judge.seen[2:]] == [each.image.tobytes() for each in plain]
    assert found[1].identity == pytest.approx(np.mean([np.asarray(each.image)[..., 0].mean() / 255 for each in plain]))
    assert found[1].identity_of_prompt == found[1].identity
    assert found[0].identity != found[1].identity


def test_the_best_is_the_most_alike_where_the_prompt_is_obeyed() -> None:
    def best(*rows: tuple[float, float, float | None, float]) -> float:
        return best_trade_off([TradeOff(*row) for row in rows]).likeness

    assert best((0.6, 0.3, 1.0, 0.3), (0.8, 0.5, 1.0, 0.5), (1.0, 0.8, 0.25, 0.2)) == 0.8
    assert best((0.6, 0.3, 0.5, 0.0), (0.8, 0.5, 0.75, 0.0), (1.0, 0.8, 0.0, 0.0)) == 0.8, "nobody obeys in full"
    assert best((0.6, 0.3, None, 0.3), (1.0, 0.8, None, 0.8)) == 1.0
    assert best((0.6, 0.5, 1.0, 0.5), (0.8, 0.5, 1.0, 0.5)) == 0.6, "the least of what is alike"
    with pytest.raises(ValueError, match="nothing to choose from"):
        best_trade_off([])

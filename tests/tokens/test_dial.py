"""tokens/dial.py and `--likeness`: between the class word and the person."""

from __future__ import annotations

import pytest
import torch

from faceid_cli.config import RenderConfig
from faceid_cli.errors import UsageError
from faceid_cli.rendering.generate import metadata_of, render
from faceid_cli.rendering.metadata import from_json, parameters_text, to_json
from faceid_cli.tokens import ENCODER, class_embedding, dialled
from faceid_cli.types import IdentityTokens

PROMPT = "a photo of <x> on the beach"


@pytest.fixture
def woman(tiny_base) -> IdentityTokens:
    generator = torch.Generator().manual_seed(1)
    sides = [torch.randn(5, 1, tiny_base.text_width, generator=generator) for _ in "kv"]
    return IdentityTokens({ENCODER: sides[0]}, {ENCODER: sides[1]}, "woman")


def test_features_move_on_a_straight_line(tiny_base, woman) -> None:
    start = class_embedding(tiny_base, "woman")
    assert dialled(tiny_base, woman, 1.0) is woman
    assert torch.allclose(dialled(tiny_base, woman, 0.0).keys[ENCODER], start.expand(5, 1, -1))
    half = dialled(tiny_base, woman, 0.5)
    assert torch.allclose(half.values[ENCODER], (start + woman.values[ENCODER]) / 2, atol=1e-6)
    assert half.class_word == "woman"


def test_without_likeness_the_picture_is_the_class_words(tiny_base, woman) -> None:
    config = RenderConfig(steps=2, likeness=0.0)
    nobody = render(tiny_base, PROMPT, {"x": woman}, [1], config)[0]
    plain = render(tiny_base, "a photo of woman on the beach", {}, [1], RenderConfig(steps=2))[0]
    person = render(tiny_base, PROMPT, {"x": woman}, [1], RenderConfig(steps=2))[0]
    assert nobody.image.tobytes() == plain.image.tobytes()
    assert person.image.tobytes() != plain.image.tobytes()
    metadata = metadata_of(nobody)
    assert from_json(to_json(metadata)).likeness == 0
    assert "FaceID likeness: 0" in parameters_text(metadata)
    assert "likeness" not in parameters_text(metadata_of(person))


@pytest.mark.parametrize("likeness", [-0.1, 2.1, float("nan")])
def test_likeness_has_limits(likeness) -> None:
    with pytest.raises(UsageError, match="likeness is"):
        RenderConfig(likeness=likeness)

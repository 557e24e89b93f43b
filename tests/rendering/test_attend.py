"""rendering/attend.py and heat_maps.py, attention/stages.py: where words look, and the figure of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli.attention.record import record_attention
from faceid_cli.errors import UsageError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.attend import default_words, positions_of_words, render_with_attention
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.heat_maps import HeatRow, heat_figure, overlay
from faceid_cli.tokens import ENCODER
from faceid_cli.types import IdentityTokens

PROMPT = "a photo of <alice> holding a cup, eiffel tower"


@pytest.fixture
def alice(tiny_base) -> dict[str, IdentityTokens]:
    generator = torch.Generator().manual_seed(0)
    sides = [torch.randn(5, 2, tiny_base.text_width, generator=generator) for _ in "kv"]
    return {"alice": IdentityTokens({ENCODER: sides[0]}, {ENCODER: sides[1]})}


def test_the_picture_is_the_one_that_is_rendered_without_looking(tiny_base, alice) -> None:
    config = RenderConfig(steps=5, width=64, height=128)
    found = render_with_attention(tiny_base, PROMPT, alice, 3, config)
    plain = render(tiny_base, PROMPT, alice, [3], config)[0]
    assert found.render.image.tobytes() == plain.image.tobytes()
    assert all(not each._forward_hooks and not each._forward_pre_hooks for each in tiny_base.unet.modules())


def test_maps_have_the_pictures_shape_and_add_up_over_stages(tiny_base, alice) -> None:
    config = RenderConfig(steps=5, width=64, height=128)
    found = render_with_attention(tiny_base, PROMPT, alice, 3, config, ["<alice>", "eiffel tower"])
    assert found.words == ("<alice>", "eiffel tower")
    assert all(cell.shape == (128, 64) for row in found.stages for cell in row)
    for row, average in zip(found.stages, found.averages, strict=True):
        assert torch.allclose(torch.stack(row).mean(0), average, atol=1e-6), "a step a stage: equal weights"
    with record_attention(tiny_base.unet, keep="mean") as record:
        render(tiny_base, PROMPT, alice, [3], config)
    positions = positions_of_words(tiny_base, PROMPT, alice, ["eiffel tower"])["eiffel tower"]
    layer = record.maps()[0]
    assert (layer.height, layer.width) == (16, 8)
    total = sum(each.probabilities[-1][..., list(positions)].sum(-1).mean() for each in record.maps())
    assert float(found.averages[1].mean()) == pytest.approx(float(total) / len(record.maps()), rel=1e-3)


def test_stages_without_a_step_are_empty(tiny_base, alice) -> None:
    found = render_with_attention(tiny_base, PROMPT, alice, 3, RenderConfig(steps=2), ["cup"], stages=10)
    assert sum(cell is not None for cell in found.stages[0]) == 2
    assert found.averages[0] is not None


def test_words_are_found_where_they_stand(tiny_base, alice) -> None:
    found = positions_of_words(tiny_base, PROMPT, alice, ["alice", "cup", "eiffel tower"])
    assert found["<alice>"] == (4, 5)
    assert found["cup"] == (8,)
    assert found["eiffel tower"] == (10, 11)
    assert default_words(PROMPT) == ("<alice>", "holding", "cup", "eiffel", "tower")
    with pytest.raises(UsageError, match="'crown' is not in the prompt") as caught:
        positions_of_words(tiny_base, PROMPT, alice, ["crown"])
    assert "eiffel" in caught.value.hint


def test_the_figure_shows_heat_where_it_is() -> None:
    picture = Image.new("RGB", (40, 80), (90, 90, 90))
    heat = np.zeros((80, 40))
    heat[60:, :10] = 1  # the lower left corner of an upright picture
    shown = np.asarray(overlay(picture, heat, 0.0, 1.0)).astype(int)
    assert shown.shape == (80, 40, 3)
    assert shown[75, 2].sum() > shown[75, 35].sum() + 150
    assert shown[75, 2].sum() > shown[5, 2].sum() + 150
    figure = heat_figure(picture, ["stage 1 of 2", "stage 2 of 2", "all steps"], [HeatRow("cup", [heat, None, heat])])
    assert figure.width > figure.height
    wider = heat_figure(picture, ["one"], [HeatRow("cup", [heat], ["7 %"]), HeatRow("a much longer word", [heat])])
    assert wider.height > 2 * 192


def test_figures_that_cannot_be() -> None:
    picture = Image.new("RGB", (40, 80))
    with pytest.raises(ValueError, match="no words"):
        heat_figure(picture, ["one"], [])
    with pytest.raises(ValueError, match=r"heat map of \(40, 80\) over a picture of 80 x 40"):
        heat_figure(picture, ["one"], [HeatRow("cup", [np.zeros((40, 80))])])
    with pytest.raises(ValueError, match="2 cells"):
        heat_figure(picture, ["one"], [HeatRow("cup", [np.zeros((80, 40))] * 2)])


def test_words_of_a_weighted_prompt_are_found(tiny_base):
    assert default_words("a photo of (<al>:1.2) (smiling:1.3), [old]") == ("<al>", "smiling", "old")

"""Stages divide the base model's own timesteps, and attention is recorded by them."""

from __future__ import annotations

import pytest
import torch

from faceid_cli.attention import record_attention, split_attention
from faceid_cli.attention.stages import record_stages

T, TIMESTEPS = 40, 500


def noise() -> torch.Tensor:
    return torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0))


def text(positions: int) -> torch.Tensor:
    return torch.randn(1, positions, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("stage", "timestep"), [(0, 499), (0, 400), (1, 399), (2, 250), (4, 99), (4, 0)])
def test_stages_divide_as_many_timesteps_as_the_model_knows(tiny_base, stage, timestep) -> None:
    parts = text(2 * 5 * T).view(2, 5, T, 32)
    keys, values = parts[:, stage]
    with torch.no_grad(), split_attention(tiny_base.unet, 5, T, TIMESTEPS):
        found = tiny_base.unet(noise(), timestep, encoder_hidden_states=parts.reshape(1, -1, 32)).sample
    with torch.no_grad(), split_attention(tiny_base.unet, 1, T):
        expected = tiny_base.unet(noise(), timestep, encoder_hidden_states=torch.cat([keys, values])[None]).sample
    assert torch.equal(found, expected)


def test_recorded_attention_is_kept_by_stage_and_averaged_over_its_passes(tiny_base) -> None:
    context, alone = text(T), []
    with torch.no_grad():
        for timestep in (450, 410, 99):
            with record_attention(tiny_base.unet) as record:
                tiny_base.unet(noise(), timestep, encoder_hidden_states=context)
            alone.append([layer.probabilities for layer in record.maps()])
        with record_stages(tiny_base.unet, 5, TIMESTEPS) as staged:
            for timestep in (450, 410, 99):
                tiny_base.unet(noise(), timestep, encoder_hidden_states=context)
    assert staged.passes == [2, 0, 0, 0, 1]
    first, second, last = alone
    for found, expected in (
        (staged.maps(0), [(a + b) / 2 for a, b in zip(first, second, strict=True)]),
        (staged.maps(4), last),
        (staged.maps(), [(a + b + c) / 3 for a, b, c in zip(first, second, last, strict=True)]),
    ):
        assert len(found) == len(expected)
        for layer, probabilities in zip(found, expected, strict=True):
            assert torch.allclose(layer.probabilities, probabilities, atol=1e-6)
    assert staged.maps(1) == []


def test_maps_are_means_over_all_heads(tiny_base) -> None:
    with torch.no_grad(), record_attention(tiny_base.unet) as record:
        tiny_base.unet(noise(), 450, encoder_hidden_states=text(T))
    for layer in record.maps():
        queries, keys = record.queries[layer.layer], record.keys[layer.layer]
        assert queries.shape[1] > 1
        each = torch.softmax(queries @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5, dim=-1)
        assert torch.allclose(layer.probabilities.flatten(1, 2), each.mean(dim=1), atol=1e-6)

"""What a training step encodes: each row's sentence with the keys and the values of its own timestep's stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler

from faceid_cli import TrainConfig
from faceid_cli.attention import cross_attention_layers, split_attention
from faceid_cli.backbone import BaseModel
from faceid_cli.tokens import ENCODER, class_embedding, encode_prompt
from faceid_cli.training import train_identity
from faceid_cli.training.data import Batch
from faceid_cli.training.engine import Engine
from faceid_cli.training.sentences import TEMPLATES
from faceid_cli.types import IdentityTokens

TIMESTEPS = (950, 30, 500)  # of the first, the last and the middle stage of five


def random_like(tensor: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed))


def batch_of(timesteps: tuple[int, ...]) -> Batch:
    """One row a timestep, each with a sentence of its own."""
    rows = torch.arange(len(timesteps))
    return Batch(rows * 0, rows, torch.tensor(timesteps), random_like(torch.zeros(len(timesteps), 8, 8, 8)))


def with_timesteps(base: BaseModel, count: int) -> BaseModel:
    """The model as if it had been trained on another number of timesteps."""
    base.pipeline.scheduler = DDIMScheduler.from_config(base.pipeline.scheduler.config, num_train_timesteps=count)
    return base


@contextmanager
def seen_by_the_projections(base: BaseModel) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """What `to_k` and `to_v` of each cross-attention layer are given, (B, T, C) each."""
    seen: dict[str, list[torch.Tensor]] = {"to_k": [], "to_v": []}
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    handles = [
        getattr(layer, side).register_forward_pre_hook(lambda _, given, side=side: seen[side].append(given[0]))
        for layer in cross_attention_layers(base.unet).values()
        for side in seen
    ]
    yield pairs
    pairs += zip(*seen.values(), strict=True)
    for handle in handles:
        handle.remove()


def test_keys_and_values_of_each_rows_stage_get_a_gradient_and_no_others(tiny_base, quick, make_crops) -> None:
    """Without self-attention each feature is a parameter, so that no gradient can come from another one's."""
    engine = Engine(tiny_base, make_crops(1), replace(quick, self_attention=False, attention_weight=0.0))
    module = engine.new_state().module
    with split_attention(tiny_base.unet, 5, tiny_base.text_window):
        engine.losses(module, batch_of(TIMESTEPS), None).reconstruction.backward()
    keys, values = module.embeddings.grad.abs().sum(dim=1).view(2, 5)
    for side in (keys, values):
        assert (side > 0).tolist() == [True, False, True, False, True]
    assert not torch.allclose(keys, values), "each by a way of its own"


@pytest.mark.parametrize("self_attention", [True, False])
@pytest.mark.parametrize("vectors", [1, 2])
def test_the_unet_gets_each_rows_sentence_with_its_stages_keys_and_values(
    tiny_base, quick, make_crops, self_attention, vectors
) -> None:
    config = replace(quick, self_attention=self_attention, vectors=vectors, attention_weight=0.0)
    engine = Engine(tiny_base, make_crops(1), config)
    module = engine.new_state().module
    with torch.no_grad():
        for place, parameter in enumerate(module.parameters()):
            parameter.add_(random_like(parameter, place))
        keys, values = module()
        assert not torch.allclose(keys, values)
        tokens = IdentityTokens({ENCODER: keys}, {ENCODER: values})
        batch = batch_of(TIMESTEPS)
        with (
            split_attention(tiny_base.unet, 5, tiny_base.text_window),
            seen_by_the_projections(tiny_base) as layers,  # after the split, as the projections themselves
        ):
            engine.prediction(module, engine.sentences[:3], batch.noise, batch.timesteps)
    assert len(layers) == len(cross_attention_layers(tiny_base.unet))
    for row, stage in enumerate((0, 4, 2)):
        expected = encode_prompt(tiny_base, TEMPLATES["face"][row].format("<al>"), {"al": tokens})
        for given_to_keys, given_to_values in layers:
            assert torch.allclose(given_to_keys[row], expected.keys[stage], atol=1e-5)
            assert torch.allclose(given_to_values[row], expected.values[stage], atol=1e-5)


@pytest.mark.parametrize("timesteps", [1000, 500])
def test_one_step_moves_keys_and_values_of_every_stage(tiny_base, make_crops, timesteps) -> None:
    """A batch has a row in each stage, however many timesteps the base model knows."""
    config = TrainConfig(
        steps=1, batch_size=5, learning_rate=0.01, warm_up=0, self_attention=False, learning_rate_schedule="constant"
    )
    tokens, _ = train_identity(with_timesteps(tiny_base, timesteps), make_crops(1), config)
    start = class_embedding(tiny_base, "person")
    for side in (tokens.keys, tokens.values):
        moved = (side[ENCODER][:, 0] - start).abs().mean(dim=1)  # weight decay alone moves them by less
        assert (moved > 0.005).all()

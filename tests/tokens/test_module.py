"""tokens/module.py and space.py: what slots exchange, and coordinates; and sides and masks of encoded prompts."""

from __future__ import annotations

import pytest
import torch

from faceid_cli.tokens import ENCODER, EmbeddingSpace, TokenModule, encode_prompt
from faceid_cli.types import IdentityTokens

WIDTH = 16


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def space_of(scale: float) -> EmbeddingSpace:
    """Four axes at right angles, of different lengths."""
    axes = torch.linalg.qr(random(WIDTH, 4, seed=5)).Q.T * torch.tensor([[4.0], [2.0], [1.0], [0.5]])
    return EmbeddingSpace(random(WIDTH, seed=6), axes, scale)


def module_of(start: torch.Tensor, scale: float, space: EmbeddingSpace | None = None) -> TokenModule:
    """A module whose slots differ and exchange something."""
    module = TokenModule(
        start,
        embedding_scale=scale,
        stages=3,
        vectors=1,
        split=True,
        self_attention=True,
        generator=torch.Generator().manual_seed(1),
        space=space,
    )
    with torch.no_grad():
        module.projection_out.copy_(random(*module.projection_out.shape, seed=2))
    return module


def exchanged(module: TokenModule) -> torch.Tensor:
    """What self-attention adds to the keys, (S, N, D)."""
    with torch.no_grad():
        found = module()[0].clone()
        module.projection_out.zero_()
        return found - module()[0]


def test_what_slots_exchange_is_on_the_scale_of_embeddings() -> None:
    start = random(WIDTH)
    small, large = exchanged(module_of(start, 0.02)), exchanged(module_of(start, 0.2))
    assert small.abs().mean() > 1e-3
    assert torch.allclose(large, 10 * small, atol=1e-5)
    assert torch.allclose(exchanged(module_of(50 * start, 0.02)), small, atol=1e-5), "however long the class word's is"


def test_in_a_space_it_is_on_the_scale_of_coordinates() -> None:
    start = random(WIDTH)
    small, large = (exchanged(module_of(start, 7.0, space_of(scale))) for scale in (0.1, 0.2))
    assert small.abs().mean() > 1e-3
    assert torch.allclose(large, 2 * small, atol=1e-5)


def test_coordinates_are_those_of_the_nearest_point_of_the_space() -> None:
    space, away = space_of(0.1), random(WIDTH, seed=7)
    nearest = space.embedding_at(space.coordinates_of(away)[None])[0]
    assert torch.allclose(space.axes @ (away - nearest), torch.zeros(4), atol=1e-4)
    coordinates = random(3, 4, seed=8)
    back = torch.stack([space.coordinates_of(each) for each in space.embedding_at(coordinates)])
    assert torch.allclose(back, coordinates, atol=1e-4)
    assert torch.equal(space.embedding_at(torch.zeros(1, 4))[0], space.middle)


@pytest.mark.parametrize("self_attention", [True, False])
def test_rows_of_the_module_are_keys_by_stage_and_then_values_by_stage(self_attention) -> None:
    module = TokenModule(
        torch.zeros(WIDTH),
        embedding_scale=1.0,
        stages=2,
        vectors=2,
        split=True,
        self_attention=self_attention,
        generator=torch.Generator().manual_seed(1),
    )
    slots = torch.arange(8.0)[:, None].expand(8, WIDTH)
    with torch.no_grad():
        (module.offsets if self_attention else module.embeddings).copy_(slots)
        keys, values = module()
    assert keys[..., 0].tolist() == [[0, 1], [2, 3]]
    assert values[..., 0].tolist() == [[4, 5], [6, 7]]


def test_one_person_without_a_split_does_not_take_the_others_values_away(tiny_base) -> None:
    scale = tiny_base.text_encoder.get_input_embeddings().weight.std()
    keys, values, both = (scale * random(5, 1, 32, seed=seed) for seed in (1, 2, 3))
    unsplit = IdentityTokens({ENCODER: both}, {ENCODER: both.clone()})

    def encoded(al: IdentityTokens) -> tuple[torch.Tensor, torch.Tensor]:
        found = encode_prompt(tiny_base, "<al> and <bea>", {"al": al, "bea": unsplit})
        return found.keys, found.values

    whole = encoded(IdentityTokens({ENCODER: keys}, {ENCODER: values}))
    assert torch.allclose(whole[0], encoded(IdentityTokens({ENCODER: keys}, {ENCODER: keys}))[0], atol=1e-5)
    assert torch.allclose(whole[1], encoded(IdentityTokens({ENCODER: values}, {ENCODER: values}))[0], atol=1e-5)
    assert (whole[0] - whole[1]).abs().max() > 1e-2


def test_a_prompt_without_people_has_the_same_context_in_every_stage_and_on_both_sides(tiny_base) -> None:
    alone = encode_prompt(tiny_base, "a cup", {})
    parts = alone.with_stages(3).context().view(2, 3, 40, 32)
    assert torch.equal(parts, alone.keys[0].expand(2, 3, 40, 32))
    one = IdentityTokens({ENCODER: random(1, 1, 32)}, {ENCODER: random(1, 1, 32, seed=1)})
    person = encode_prompt(tiny_base, "a photo of <al>", {"al": one})
    keys, values = person.with_stages(3).context().view(2, 3, 40, 32)
    assert torch.equal(keys, person.keys.expand(3, -1, -1))
    assert torch.equal(values, person.values.expand(3, -1, -1))
    assert not torch.equal(keys, values)


def test_a_text_encoder_that_was_trained_with_the_mask_gets_it(tiny_base) -> None:
    without = encode_prompt(tiny_base, "a cup", {}).keys
    tiny_base.text_encoder.config.use_attention_mask = True
    found = encode_prompt(tiny_base, "a cup", {}).keys
    assert torch.allclose(found, tiny_base.pipeline.encode_prompt("a cup", "cpu", 1, False)[0], atol=1e-6)
    assert torch.allclose(found[:, :4], without[:, :4], atol=1e-5)
    assert (found[:, 5:] - without[:, 5:]).abs().max() > 1e-2, "padding does not read padding"

"""attention/regional.py: whose text a pixel takes, and at whom it looks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from faceid_cli.attention import cross_attention_layers, split_attention
from faceid_cli.attention.hooks import attention_layers
from faceid_cli.attention.regional import Release, layer_shape, owners, regional_attention, text_shares

T = 40
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
APART = ((0.0, 0.0, 0.25, 1.0), (0.75, 0.0, 1.0, 1.0))


def latents(rows: int = 1) -> Tensor:
    return torch.randn(rows, 8, 8, 8, generator=torch.Generator().manual_seed(0))


def texts(count: int, same: bool = False) -> list[Tensor]:
    """One stage of [K | V] each, (1, 2 * T, 32)."""
    found = [torch.randn(1, 2 * T, 32, generator=torch.Generator().manual_seed(number)) for number in range(count)]
    return [found[0]] * count if same else found


def predicted(
    base, contexts: list[Tensor], layouts=None, timestep: int = 900, release: Release | None = None
) -> Tensor:
    rows = len(layouts) if layouts else 1
    context = torch.cat(contexts, dim=1).expand(rows, -1, -1)
    with torch.no_grad(), split_attention(base.unet, 1, T, texts=len(contexts)):
        if layouts is None:
            return base.unet(latents(rows), timestep, context).sample
        with regional_attention(base.unet, layouts, release=release):
            return base.unet(latents(rows), timestep, context).sample


def first_text_layer(base, *arguments, **named) -> Tensor:
    """What the first cross-attention layer returns, (B, pixels, C)."""
    seen: list[Tensor] = []
    layer = next(iter(cross_attention_layers(base.unet).values()))
    hook = layer.register_forward_hook(lambda module, given, output: seen.append(output))
    try:
        predicted(base, *arguments, **named)
    finally:
        hook.remove()
    return seen[0]


def test_regions_that_all_say_the_same_and_see_each_other_change_nothing(tiny_base) -> None:
    expected = predicted(tiny_base, texts(1))
    found = predicted(tiny_base, texts(3, same=True), [(LEFT, RIGHT)], release=Release(text=0, apart=1.01))
    assert torch.allclose(found, expected, atol=1e-5)


def test_pixels_outside_of_all_regions_take_the_common_text_and_those_inside_their_own(tiny_base) -> None:
    release = Release(text=0, apart=1.01)
    common, alice, bob = texts(3)
    mixed = first_text_layer(tiny_base, [common, alice, bob], [APART], release=release)
    whole = {name: first_text_layer(tiny_base, [text]) for name, text in (("c", common), ("a", alice), ("b", bob))}
    height, width = layer_shape((8, 8), mixed.shape[1])
    columns = torch.arange(width).repeat(height)
    middle = (columns > width // 4) & (columns < width - 1 - width // 4)
    assert middle.any()
    assert torch.equal(mixed[:, middle], whole["c"][:, middle])
    assert torch.allclose(mixed[:, columns == 0], whole["a"][:, columns == 0], atol=1e-6)
    assert torch.allclose(mixed[:, columns == width - 1], whole["b"][:, columns == width - 1], atol=1e-6)


def test_one_persons_pixels_do_not_look_at_anothers_and_the_background_looks_everywhere(tiny_base) -> None:
    layer = next(iter(attention_layers(tiny_base.unet, "attn1").values()))
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad(), split_attention(tiny_base.unet, 1, T, texts=3), regional_attention(tiny_base.unet, [APART]):
        tiny_base.unet(latents(), 900, torch.cat(texts(3), dim=1))
        hook.remove()
        pixels = seen[0]
        owner = owners(APART, *layer_shape((8, 8), pixels.shape[1]))
        before, changed = layer(pixels), pixels.clone()
        changed[:, owner == 1] += 1  # the second person's
        after = layer(changed)
    assert torch.equal(before[:, owner == 0], after[:, owner == 0])
    assert not torch.allclose(before[:, owner == -1], after[:, owner == -1])


def test_in_the_last_steps_people_see_each_other_again(tiny_base) -> None:
    contexts, layouts = texts(3, same=True), [APART]
    free = predicted(tiny_base, contexts, layouts, timestep=50, release=Release(0, 1.01))
    assert torch.equal(predicted(tiny_base, contexts, layouts, timestep=50, release=Release(0, 0.2)), free)
    held = predicted(tiny_base, contexts, layouts, timestep=250, release=Release(0, 0.2))
    assert not torch.allclose(
        held, predicted(tiny_base, contexts, layouts, timestep=250, release=Release(0, 1.01)), atol=1e-4
    )


def test_pictures_with_other_layouts_in_one_batch_are_what_they_are_alone(tiny_base) -> None:
    layouts = [(LEFT, RIGHT), APART]
    together = predicted(tiny_base, texts(3), [*layouts, *layouts][:2])
    noise = latents(2)
    for row, layout in enumerate(layouts):
        with (
            torch.no_grad(),
            split_attention(tiny_base.unet, 1, T, texts=3),
            regional_attention(tiny_base.unet, [layout]),
        ):
            alone = tiny_base.unet(noise[row : row + 1], 900, torch.cat(texts(3), dim=1)).sample
        assert torch.allclose(together[row], alone[0], atol=1e-5)


def test_with_guidance_the_negative_prompts_come_first_and_have_no_regions(tiny_base) -> None:
    negative, (common, alice, bob) = texts(4)[3], texts(3)
    prompts = torch.cat([torch.cat([negative] * 3, dim=1), torch.cat([common, alice, bob], dim=1)])
    layer = next(iter(cross_attention_layers(tiny_base.unet).values()))
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda module, given, output: seen.append(output))
    empty = ((0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 0.0, 0.0))  # as where only a part of the picture is rendered
    try:
        with (
            torch.no_grad(),
            split_attention(tiny_base.unet, 1, T, texts=3),
            regional_attention(tiny_base.unet, [empty]),
        ):
            tiny_base.unet(latents().repeat(2, 1, 1, 1), 900, prompts)
    finally:
        hook.remove()
    expected = first_text_layer(tiny_base, [negative])
    assert (seen[0][:1] - expected).abs().max() < 1e-4
    assert not torch.allclose(seen[0][1:], expected, atol=1e-3)


def test_the_network_is_left_as_found_also_after_an_error(tiny_base) -> None:
    layers = attention_layers(tiny_base.unet, "attn1") | attention_layers(tiny_base.unet, "attn2")
    before = {name: layer.processor for name, layer in layers.items()}
    with pytest.raises(RuntimeError, match="stop"), regional_attention(tiny_base.unet, [APART]):
        raise RuntimeError("stop")
    assert {name: layer.processor for name, layer in layers.items()} == before
    assert not tiny_base.unet._forward_pre_hooks


def test_shares_of_texts_sum_to_one_are_averaged_where_regions_overlap_and_soft_at_the_edge() -> None:
    shares = text_shares([((0.0, 0.0, 0.75, 1.0), (0.25, 0.0, 1.0, 1.0))], 32, 32)[0].unflatten(1, (32, 32))
    assert torch.allclose(shares.sum(0), torch.ones(32, 32))
    assert torch.allclose(shares[:, 16, 16], torch.tensor([0.0, 0.5, 0.5]))
    edge = text_shares([((0.0, 0.0, 0.5, 1.0), (0.6, 0.6, 0.9, 0.9))], 64, 64)[0].unflatten(1, (64, 64))[1, 32]
    assert edge[0] == 1
    assert edge[50] == 0
    assert ((edge > 0) & (edge < 1)).sum() >= 2
    empty = text_shares([((0.0, 0.0, 0.0, 0.0), LEFT)], 8, 8)
    assert not empty.isnan().any()
    assert (empty[0, 1] == 0).all()


def test_layers_of_odd_pictures_are_found_by_their_number_of_pixels() -> None:
    assert layer_shape((9, 16), 9 * 16) == (9, 16)
    assert layer_shape((9, 16), 5 * 8) == (5, 8)
    assert layer_shape((9, 16), 3 * 4) == (3, 4)
    with pytest.raises(ValueError, match="does not belong"):
        layer_shape((9, 16), 7)

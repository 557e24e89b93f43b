"""Recorded attention is the attention that was used; arithmetic on maps."""

from __future__ import annotations

import pytest
import torch

from faceid_cli.attention import cross_attention_layers, record_attention, split_attention
from faceid_cli.attention.maps import average, resize, share_inside, word_map
from faceid_cli.attention.record import AttentionMap
from faceid_cli.errors import ModelError
from faceid_cli.types import Box

T = 40


def inputs(height: int = 8, width: int = 8, rows: int = 2, positions: int = T) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(rows, 8, height, width, generator=generator),
        torch.randn(rows, positions, 32, generator=generator),
    )


def test_probabilities_explain_the_layers_output(tiny_base):
    """Recorded probabilities times values, through the output projection, are what the layer returned."""
    name, layer = next(iter(cross_attention_layers(tiny_base.unet).items()))
    seen: dict[str, torch.Tensor] = {}
    layer.to_v.register_forward_hook(lambda module, arguments, output: seen.__setitem__("values", output))
    layer.register_forward_hook(lambda module, arguments, output: seen.__setitem__("output", output))
    sample, text = inputs()
    with torch.no_grad(), record_attention(tiny_base.unet) as record:
        tiny_base.unet(sample, 500, encoder_hidden_states=text)
    weights = torch.softmax(record.queries[name] @ record.keys[name].transpose(2, 3) * record.scales[name], dim=-1)
    values = seen["values"].unflatten(-1, (layer.heads, -1)).transpose(1, 2)
    expected = layer.to_out[0]((weights @ values).transpose(1, 2).flatten(2))
    assert torch.allclose(seen["output"], expected, atol=1e-5)


def test_recording_changes_nothing_and_leaves_nothing(tiny_base):
    sample, text = inputs()
    with torch.no_grad():
        before = tiny_base.unet(sample, 500, encoder_hidden_states=text).sample
        with record_attention(tiny_base.unet, keep="mean"):
            during = tiny_base.unet(sample, 500, encoder_hidden_states=text).sample
    assert torch.equal(before, during)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in tiny_base.unet.modules())


def test_maps_of_pictures_that_are_not_square(tiny_base):
    sample, text = inputs(height=4, width=12)
    with torch.no_grad(), record_attention(tiny_base.unet) as record:
        tiny_base.unet(sample, 500, encoder_hidden_states=text)
    shapes = {tuple(each.probabilities.shape) for each in record.maps()}
    assert shapes == {(2, 4, 12, T), (2, 2, 6, T)}
    for each in record.maps():
        assert torch.allclose(each.probabilities.sum(dim=-1), torch.ones(2, each.height, each.width), atol=1e-5)


def test_mean_is_over_all_forward_passes(tiny_base):
    sample, text = inputs()
    single = []
    with torch.no_grad(), record_attention(tiny_base.unet, keep="mean") as mean:
        for timestep in (900, 100):
            with record_attention(tiny_base.unet) as last:
                tiny_base.unet(sample, timestep, encoder_hidden_states=text)
            single.append(last.maps())
    for both, first, second in zip(mean.maps(), *single, strict=True):
        assert torch.allclose(both.probabilities, (first.probabilities + second.probabilities) / 2, atol=1e-6)
    mean.clear()
    assert mean.maps() == []


def test_under_a_split_the_keys_side_is_recorded(tiny_base):
    sample, keys = inputs()
    _, values = inputs(rows=2, positions=T)
    with torch.no_grad():
        with record_attention(tiny_base.unet) as expected:
            tiny_base.unet(sample, 500, encoder_hidden_states=keys)
        first = next(iter(expected.keys))
        with split_attention(tiny_base.unet, 1, T), record_attention(tiny_base.unet) as record:
            tiny_base.unet(sample, 500, encoder_hidden_states=torch.cat([keys, values + 1], dim=1))
    assert record.keys[first].shape[2] == T
    assert torch.equal(record.keys[first], expected.keys[first])


def test_attention_that_cannot_be_seen_is_an_error(tiny_base):
    tiny_base.unet.fuse_qkv_projections()
    sample, text = inputs()
    with pytest.raises(ModelError, match="cannot be recorded"), record_attention(tiny_base.unet), torch.no_grad():
        tiny_base.unet(sample, 500, encoder_hidden_states=text)


def test_resize_is_height_first():
    attention = torch.zeros(1, 2, 4)
    attention[0, 0, 3] = 1.0  # top right
    large = resize(attention, 20, 40)
    assert large.shape == (1, 20, 40)
    row, column = divmod(int(large.argmax()), 40)
    assert row < 10
    assert column > 30


def test_average_really_averages():
    result = average([torch.full((1, 2, 2), 1.0), torch.full((1, 4, 8), 4.0)], 8, 8)
    assert torch.allclose(result, torch.full((1, 8, 8), 2.5))
    with pytest.raises(ValueError, match="no maps"):
        average([], 8, 8)


def test_word_map_sums_positions_and_averages_layers():
    probabilities = torch.zeros(1, 2, 2, 5)
    probabilities[..., 1], probabilities[..., 2], probabilities[..., 3] = 0.2, 0.3, 0.5
    layers = [AttentionMap("a", probabilities), AttentionMap("b", torch.zeros(1, 4, 4, 5))]
    assert torch.allclose(word_map(layers, (1, 2), 4, 4), torch.full((1, 4, 4), 0.25))
    with pytest.raises(ValueError, match="no text positions"):
        word_map(layers, (), 4, 4)


@pytest.mark.parametrize(
    ("box", "share"),
    [
        (Box(0, 0, 200, 100), 1.0),
        (Box(0, 0, 100, 100), 0.5),
        (Box(0, 0, 50, 50), 0.125),
        (Box(10, 10, 10, 10), 0.005),  # smaller than one cell
        (Box(-100, -100, 200, 200), 0.5),
        (Box(150, 0, 500, 50), 0.125),
        (Box(300, 300, 10, 10), 0.0),
    ],
)
def test_share_inside_of_an_even_map_is_the_share_of_the_area(box, share):
    even = torch.ones(2, 4, 8)
    assert torch.allclose(share_inside(even, box, (200, 100)), torch.full((2,), share), atol=1e-6)


def test_share_inside_tells_right_from_left_and_top_from_bottom():
    attention = torch.zeros(4, 8)
    attention[0, 7] = 1.0
    assert share_inside(attention, Box(175, 0, 25, 25), (200, 100)) == 1.0
    assert share_inside(attention, Box(0, 75, 25, 25), (200, 100)) == 0.0
    assert share_inside(torch.zeros(4, 8), Box(0, 0, 200, 100), (200, 100)) == 0.0

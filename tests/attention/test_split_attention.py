"""Keys and values come apart by stage, on a tiny real UNet; and silently losing that is impossible."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from faceid_cli.attention import cross_attention_layers, split_attention
from faceid_cli.attention.hooks import stage_of, stages_of
from faceid_cli.errors import ModelError
from faceid_cli.tokens import ENCODER, class_embedding, encode_prompt
from faceid_cli.types import IdentityTokens

T = 40


def noise(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 8, 8, 8, generator=torch.Generator().manual_seed(seed))


def text(rows: int, positions: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, positions, 32, generator=torch.Generator().manual_seed(seed))


def people(base, noisy_values: float = 0.0, stages: int = 5) -> dict[str, IdentityTokens]:
    keys = class_embedding(base, "person").expand(stages, 1, -1).clone()
    values = keys + noisy_values * torch.randn(keys.shape, generator=torch.Generator().manual_seed(3))
    return {"al": IdentityTokens({ENCODER: keys}, {ENCODER: values})}


def hooks_of(module: nn.Module) -> int:
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules())


def render(base, prompt: str, tokens: dict[str, IdentityTokens], stages: int = 5, count: int = 2):
    positive = encode_prompt(base, prompt, tokens).with_stages(stages)
    negative = encode_prompt(base, "", {}).with_stages(stages)
    with split_attention(base.unet, stages, T):
        return base.pipeline(
            prompt_embeds=positive.context(),
            negative_prompt_embeds=negative.context(),
            num_images_per_prompt=count,
            latents=noise(count),
            num_inference_steps=5,
            guidance_scale=4.0,
            output_type="np",
        ).images


def plain(base, prompt: str, count: int = 2):
    return base.pipeline(
        prompt,
        negative_prompt="",
        num_images_per_prompt=count,
        latents=noise(count),
        num_inference_steps=5,
        guidance_scale=4.0,
        output_type="np",
    ).images


@pytest.mark.parametrize("stages", [1, 5, 10])
def test_equal_keys_and_values_give_the_bits_of_the_plain_pipeline(tiny_base, stages):
    ours = render(tiny_base, "a photo of <al>, beach", people(tiny_base, stages=stages), stages)
    stock = plain(tiny_base, "a photo of person, beach")
    assert stock.std() > 0.01
    assert (ours == stock).all()


def test_other_values_change_the_picture_and_the_pipeline_is_restored(tiny_base):
    before, hooks = plain(tiny_base, "a photo of person"), hooks_of(tiny_base.unet)
    changed = render(tiny_base, "a photo of <al>", people(tiny_base, noisy_values=3.0))
    assert abs(changed - before).max() > 0.01
    assert hooks_of(tiny_base.unet) == hooks
    assert (plain(tiny_base, "a photo of person") == before).all()


def test_hooks_are_removed_after_an_error(tiny_base):
    hooks = hooks_of(tiny_base.unet)
    with pytest.raises(ZeroDivisionError), split_attention(tiny_base.unet, 5, T):
        raise ZeroDivisionError
    assert hooks_of(tiny_base.unet) == hooks


def test_each_row_uses_the_stage_of_its_own_timestep(tiny_base):
    context, timesteps = text(4, 2 * 5 * T), torch.tensor([999, 600, 599, 0])
    with torch.no_grad(), split_attention(tiny_base.unet, 5, T):
        together = tiny_base.unet(noise(4), timesteps, encoder_hidden_states=context).sample
        alone = [
            tiny_base.unet(noise(4)[row][None], int(timesteps[row]), context[row][None]).sample for row in range(4)
        ]
        swapped = tiny_base.unet(noise(4), timesteps.flip(0), encoder_hidden_states=context).sample
    assert (together - torch.cat(alone)).abs().max() < 1e-3  # rounding: the arithmetic of batches differs a little
    assert (together - swapped).abs().amax(dim=(1, 2, 3)).min() > 1e-2


def test_only_the_current_stage_reaches_the_unet(tiny_base):
    context = text(1, 2 * 5 * T)
    parts = context.view(2, 5, T, 32)

    def predict(timestep: int, changed: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), split_attention(tiny_base.unet, 5, T):
            return tiny_base.unet(noise(1), timestep, encoder_hidden_states=changed).sample

    for stage, timestep in enumerate((900, 700, 500, 300, 100)):
        others = parts.clone()
        others[:, [each for each in range(5) if each != stage]] = 7.0
        assert torch.equal(predict(timestep, context), predict(timestep, others.view(1, -1, 32)))
        for side in (0, 1):
            mine = parts.clone()
            mine[side, stage] = 7.0
            assert not torch.equal(predict(timestep, context), predict(timestep, mine.view(1, -1, 32)))


def test_keys_decide_where_and_values_what(tiny_base):
    """With constant values, keys cannot matter: attention only mixes equal vectors."""
    keys, other_keys, values = text(1, T, 5), text(1, T, 6), text(1, 1, 7).expand(1, T, 32)
    with torch.no_grad(), split_attention(tiny_base.unet, 1, T):
        outputs = [
            tiny_base.unet(noise(1), 10, encoder_hidden_states=torch.cat([each, values], dim=1)).sample
            for each in (keys, other_keys)
        ]
    assert torch.allclose(*outputs, atol=1e-5)


@pytest.mark.parametrize("stages", [1, 3, 5, 7, 10])
def test_stage_rule(stages):
    expected = [stages - 1 - t * stages // 1000 for t in range(1000)]
    assert [stage_of(t, stages) for t in range(1000)] == expected
    assert stages_of(torch.arange(1000), stages).tolist() == expected
    assert stages_of(torch.arange(1000) + 0.4, stages).tolist() == expected
    assert {stage_of(-1, stages), stage_of(1000, stages)} == {stages - 1, 0}


def test_five_stages_are_four_minus_t_over_200():
    assert all(stage_of(t, 5) == 4 - t // 200 for t in range(1000))


def test_a_model_without_cross_attention_is_an_error():
    with pytest.raises(ModelError, match="no cross-attention layer found in this Linear"):
        cross_attention_layers(nn.Linear(2, 2))
    with pytest.raises(ModelError, match="no cross-attention layer"), split_attention(nn.Linear(2, 2), 5, T):
        pass


def test_fused_projections_are_noticed_on_entry(tiny_base):
    tiny_base.unet.fuse_qkv_projections()
    with pytest.raises(ModelError, match="its projections are fused"), split_attention(tiny_base.unet, 5, T):
        pass


def test_projections_that_are_not_used_are_noticed(tiny_base):
    """Attention slicing, xformers and plug-ins replace processors; this one reads the weights past the module."""

    class PastTheHooks:
        def __call__(self, attn, hidden_states, encoder_hidden_states=None, **rest):
            context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
            query = attn.to_q(hidden_states)
            key, value = (nn.functional.linear(context, layer.weight) for layer in (attn.to_k, attn.to_v))
            return attn.to_out[0](torch.softmax(query @ key.transpose(1, 2), dim=-1) @ value)

    next(iter(cross_attention_layers(tiny_base.unet).values())).set_processor(PastTheHooks())
    expected = pytest.raises(ModelError, match="the split into keys and values is dead")
    with expected, torch.no_grad(), split_attention(tiny_base.unet, 5, T):
        tiny_base.unet(noise(1), 10, encoder_hidden_states=text(1, 2 * 5 * T))


def test_context_of_another_length_is_an_error(tiny_base):
    with (
        pytest.raises(ModelError, match="has 40 positions, not 2 x 5 stages x 40"),
        split_attention(tiny_base.unet, 5, T),
    ):
        tiny_base.unet(noise(1), 10, encoder_hidden_states=text(1, T))


def test_splitting_twice_is_an_error(tiny_base):
    with split_attention(tiny_base.unet, 1, T), split_attention(tiny_base.unet, 1, T), pytest.raises(ModelError):
        tiny_base.unet(noise(1), 10, encoder_hidden_states=text(1, 2 * T))


def test_attention_slicing_keeps_the_split(tiny_base):
    expected = render(tiny_base, "a photo of <al>", people(tiny_base, noisy_values=3.0))
    tiny_base.pipeline.enable_attention_slicing(1)
    sliced = render(tiny_base, "a photo of <al>", people(tiny_base, noisy_values=3.0))
    assert abs(sliced - expected).max() < 1e-4

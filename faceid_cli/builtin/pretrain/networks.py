"""Architectures of the built-in model's denoiser and text encoder, its noise schedule, and the people encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from faceid_cli.builtin.people import TRAITS
from faceid_cli.builtin.pretrain.tokenizer import WINDOW

TEXT_WIDTH = 192
EMBEDDING_SCALE = 0.05


def half_precision(device: torch.device) -> torch.autocast:
    """Matrix products and convolutions in bfloat16, where the device multiplies it itself.

    Cast weights are not kept: a recorded step has to cast those that it is replayed with.
    """
    native = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=native, cache_enabled=False)


class PeopleEncoder(nn.Module):
    """Maps a person's traits to a token embedding while the model is trained.

    Its values for the roster become ordinary rows of the embedding table, and it is thrown away. So every name shares
    what is learned from all people, and the space between names means people too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(TRAITS, 384), nn.SiLU(), nn.Linear(384, 384), nn.SiLU(), nn.Linear(384, TEXT_WIDTH)
        )
        self.skip = nn.Linear(TRAITS, TEXT_WIDTH)

    def forward(self, traits: Tensor) -> Tensor:
        """(n, TRAITS) -> (n, TEXT_WIDTH), of one norm."""
        made = self.layers(traits) + self.skip(traits)
        return functional.layer_norm(made.float(), (TEXT_WIDTH,)) * EMBEDDING_SCALE


def around(people: Tensor, noise: Tensor) -> Tensor:
    """Embeddings of people (..., D), moved a little.

    Learned tokens will not lie exactly where names lie: the surroundings of a name shall mean the same person.

    Args:
        people: The embeddings.
        noise: Of unit variance, (..., 1 + D): the first value lengthens an embedding, the others move it.
    """
    return people * (1 + 0.12 * noise[..., :1]) + 0.08 * EMBEDDING_SCALE * noise[..., 1:]


def build_unet() -> UNet2DConditionModel:
    """The denoiser: 32 x 32 x 4 latents, cross-attention in all four resolutions."""
    channels = (64, 128, 192, 192)
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        up_block_types=("CrossAttnUpBlock2D",) * len(channels),
        attention_head_dim=4,
        cross_attention_dim=TEXT_WIDTH,
        norm_num_groups=16,
    )


def build_text_encoder(tokenizer: Any) -> CLIPTextModel:
    """The text transformer, trained together with the denoiser."""
    model = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=4,
            num_attention_heads=6,
            max_position_embeddings=WINDOW,
            projection_dim=TEXT_WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    with torch.no_grad():
        model.get_input_embeddings().weight.normal_(0, EMBEDDING_SCALE)
    return model


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule with zero terminal signal, velocity prediction."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def encode_text(text_encoder: CLIPTextModel, ids: Tensor, placeholders: Sequence[int], people: Tensor) -> Tensor:
    """Encode token ids (B, T) with people's embeddings in the place of placeholder tokens: (B, T, D).

    Args:
        text_encoder: The text transformer.
        ids: Token ids.
        placeholders: The token that stands for the first, second, ... person of a picture.
        people: Their embeddings, (B, P, D).
    """

    def substitute(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        for place, token in enumerate(placeholders):
            output = torch.where((ids == token)[..., None], people[:, place, None].to(output.dtype), output)
        return output

    handle = text_encoder.get_input_embeddings().register_forward_hook(substitute)
    try:
        return text_encoder(ids)[0]
    finally:
        handle.remove()

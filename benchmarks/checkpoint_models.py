"""The families of Stable Diffusion at their true sizes, with random weights: time and memory do not depend on those."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

SIZES = {"sd1": 512, "sd2": 768, "sdxl": 1024}


def build(family: str, folder: Path, dtype: torch.dtype, size: int | None = None) -> None:
    """Write a pipeline of true size and random weights.

    Args:
        family: Of `SIZES`.
        folder: Where to.
        dtype: Of its weights.
        size: Pixels of its pictures; the family's own if None.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        pipeline = pipeline_of(family)
    finally:
        torch.set_default_dtype(before)
    if size is not None:
        pipeline.unet.register_to_config(sample_size=size // pipeline.vae_scale_factor)
    pipeline.save_pretrained(folder)


def pipeline_of(family: str, small: bool = False) -> Any:
    """Make a pipeline of true size and random weights, of torch's default type and on its default device.

    Args:
        family: Of `SIZES`.
        small: A narrow one of Stable Diffusion 1.x or 2.x, for 64 px, to try a benchmark out.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
    from diffusers import UNet2DConditionModel as UNet
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32) if small else (128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=64 if small else SIZES[family],
        scaling_factor=0.13025 if family == "sdxl" else 0.18215,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction" if family == "sd2" else "epsilon",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    narrow = {"sample_size": 8, "block_out_channels": (32, 64, 64, 64), "cross_attention_dim": 64} if small else {}
    unet = UNet(**{**unet_config(family), **narrow})
    width, layers, heads = (64, 2, 2) if small else (1024, 23, 16) if family == "sd2" else (768, 12, 12)
    first = CLIPTextModel(text_config(width, layers, heads))
    parts: dict[str, Any] = {"vae": vae, "unet": unet, "text_encoder": first, "scheduler": scheduler}
    if family == "sdxl":
        second = CLIPTextModelWithProjection(text_config(1280, 32, 20))
        return StableDiffusionXLPipeline(
            **parts, text_encoder_2=second, tokenizer=tokenizer(), tokenizer_2=tokenizer(), add_watermarker=False
        )
    nothing = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return StableDiffusionPipeline(**parts, tokenizer=tokenizer(), **nothing)


def unet_config(family: str) -> dict[str, Any]:
    """The UNet of Stable Diffusion 1.5, 2.1 or XL."""
    config: dict[str, Any] = {"sample_size": SIZES[family] // 8, "block_out_channels": (320, 640, 1280, 1280)}
    if family == "sd1":
        return {**config, "cross_attention_dim": 768, "attention_head_dim": 8}
    if family == "sd2":
        heads = [5, 10, 20, 20]
        return {**config, "cross_attention_dim": 1024, "attention_head_dim": heads, "use_linear_projection": True}
    return {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": [1, 2, 10],
        "attention_head_dim": [5, 10, 20],
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }


def text_config(width: int, layers: int, heads: int) -> Any:
    """A CLIP text encoder."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=77,
        projection_dim=width,
        eos_token_id=49407,
        bos_token_id=49406,
    )


def tokenizer() -> Any:
    """CLIP's tokenizer."""
    from transformers import CLIPTokenizer

    from faceid_cli.model_files.vocabulary import write_vocabulary

    with TemporaryDirectory() as folder:
        write_vocabulary(Path(folder))
        return CLIPTokenizer.from_pretrained(folder, model_max_length=77)

"""Every family of Stable Diffusion in its full shape and at tiny width, as a folder and as one file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

FAMILIES = ("sd1", "sd2", "sdxl")
WIDTH, WIDTH_2 = 32, 64  # of the text encoders
CHANNELS = {"sd1": (32, 64, 64, 64), "sd2": (32, 64, 64, 64), "sdxl": (32, 64, 64)}
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


@dataclass(frozen=True)
class TinyFamily:
    """A model of one family.

    Attributes:
        family: "sd1", "sd2" or "sdxl".
        folder: In diffusers' layout, 64 px.
        file: The same weights as one file.
    """

    family: str
    folder: Path
    file: Path


@pytest.fixture(scope="session")
def tiny_families(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TinyFamily]:
    """Build each family once, when it is first asked for."""
    built: dict[str, TinyFamily] = {}

    def get(family: str) -> TinyFamily:
        if family not in built:
            root = tmp_path_factory.mktemp(family)
            pipeline = build(family)
            pipeline.save_pretrained(root / "folder", safe_serialization=True)
            save_file(single_file_tensors(pipeline, family), root / "model.safetensors")
            built[family] = TinyFamily(family, root / "folder", root / "model.safetensors")
        return built[family]

    return get


def build(family: str) -> Any:
    """Make the pipeline, with seeded random weights and CLIP's real vocabulary."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = CLIPTextModel(text_config(family == "sd2", 23 if family == "sd2" else 12, WIDTH))
        unet = build_unet(family)
        vae = AutoencoderKL(
            block_out_channels=(32, 32, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
            sample_size=64,
            scaling_factor=0.13025 if family == "sdxl" else 0.18215,
            force_upcast=family == "sdxl",
        )
        second = CLIPTextModelWithProjection(text_config(True, 32, WIDTH_2)) if family == "sdxl" else None
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction" if family == "sd2" else "epsilon",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    parts = {"vae": vae, "text_encoder": first, "unet": unet, "scheduler": scheduler}
    if second is not None:
        tokenizers = {"tokenizer": clip_tokenizer("<|endoftext|>"), "tokenizer_2": clip_tokenizer("!")}
        return StableDiffusionXLPipeline(**parts, **tokenizers, text_encoder_2=second, add_watermarker=False)
    pad = "!" if family == "sd2" else "<|endoftext|>"
    return StableDiffusionPipeline(
        **parts,
        tokenizer=clip_tokenizer(pad),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def text_config(openclip: bool, layers: int, width: int) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=1,
        max_position_embeddings=77,
        hidden_act="gelu" if openclip else "quick_gelu",
        projection_dim=width,
        bos_token_id=0 if openclip else 49406,
        eos_token_id=2,  # as the real files have it: the pooled text must be found all the same
        pad_token_id=1,
        initializer_factor=5.0,
    )


def build_unet(family: str) -> Any:
    from diffusers import UNet2DConditionModel

    config: dict[str, Any] = {
        "sample_size": 8,
        "layers_per_block": 2,
        "block_out_channels": CHANNELS[family],
        "cross_attention_dim": WIDTH,
        "attention_head_dim": 8 if family == "sd1" else [1, 1, 1, 1],
        "use_linear_projection": family != "sd1",
    }
    if family == "sdxl":
        config |= {
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": [1, 2, 10],
            "attention_head_dim": [1, 1, 1],
            "cross_attention_dim": WIDTH + WIDTH_2,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 16,
            "projection_class_embeddings_input_dim": 6 * 16 + WIDTH_2,
        }
    return UNet2DConditionModel(**config)


def clip_tokenizer(pad_token: str) -> Any:
    from tempfile import TemporaryDirectory

    from transformers import CLIPTokenizer

    from faceid_cli.model_files.vocabulary import write_vocabulary

    with TemporaryDirectory() as folder:
        write_vocabulary(Path(folder))
        return CLIPTokenizer.from_pretrained(folder, model_max_length=77, pad_token=pad_token)


def single_file_tensors(pipeline: Any, family: str) -> dict[str, torch.Tensor]:
    """Write a pipeline's weights under the names of the first implementations."""
    levels = len(CHANNELS[family])
    tensors = {first_unet_name(name, levels): value for name, value in pipeline.unet.state_dict().items()}
    for name, value in pipeline.vae.state_dict().items():
        matrix = ".attentions." in name and name.endswith("weight") and "group_norm" not in name
        tensors[vae_name(name)] = value[:, :, None, None] if matrix else value
    if family == "sd2":
        tensors |= openclip(pipeline.text_encoder, "cond_stage_model.model.", extra_layer=True)
    else:
        prefix = "conditioner.embedders.0.transformer" if family == "sdxl" else "cond_stage_model.transformer"
        for name, value in pipeline.text_encoder.state_dict().items():
            tensors[f"{prefix}.text_model.{name.removeprefix('text_model.')}"] = value
        tensors[f"{prefix}.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    if family == "sdxl":
        tensors |= openclip(pipeline.text_encoder_2, "conditioner.embedders.1.model.", extra_layer=False)
    tensors["model_ema.decay"] = torch.zeros(())
    return {name: value.detach().clone().contiguous() for name, value in tensors.items()}


@pytest.fixture
def unet_name() -> Callable[[str, int], str]:
    """Names a weight of a UNet, given the number of its levels, as the first implementation does."""
    return first_unet_name


def first_unet_name(name: str, levels: int) -> str:
    """By the numbering of blocks: three to a level, counted through."""
    fixed = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
    fixed |= {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    fixed |= {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
    for index, part in enumerate(("resnets.0", "attentions.0", "resnets.1")):
        fixed[f"mid_block.{part}"] = f"middle_block.{index}"
    for level in range(levels):
        for layer in range(3):
            fixed[f"down_blocks.{level}.resnets.{layer}"] = f"input_blocks.{3 * level + layer + 1}.0"
            fixed[f"down_blocks.{level}.attentions.{layer}"] = f"input_blocks.{3 * level + layer + 1}.1"
            fixed[f"up_blocks.{level}.resnets.{layer}"] = f"output_blocks.{3 * level + layer}.0"
            fixed[f"up_blocks.{level}.attentions.{layer}"] = f"output_blocks.{3 * level + layer}.1"
        fixed[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{3 * level + 3}.0.op"
        has_attention = not (levels == 4 and level == 0)  # the first level up of SD 1.x and 2.x has none
        fixed[f"up_blocks.{level}.upsamplers.0.conv"] = f"output_blocks.{3 * level + 2}.{1 + has_attention}.conv"
    start = max((known for known in fixed if name.startswith(f"{known}.")), key=len)
    rest = name.removeprefix(f"{start}.")
    if ".resnets." in f"{start}.":
        part, _, kind = rest.partition(".")
        rest = f"{RESNET[part]}.{kind}"
    return f"model.diffusion_model.{fixed[start]}.{rest}"


def vae_name(name: str) -> str:
    for new, old in (
        ("downsamplers.0", "downsample"),
        ("upsamplers.0", "upsample"),
        ("conv_shortcut", "nin_shortcut"),
        ("conv_norm_out", "norm_out"),
        ("mid_block.resnets.0", "mid.block_1"),
        ("mid_block.resnets.1", "mid.block_2"),
        ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
        ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
        ("mid_block.attentions.0.to_", "mid.attn_1."),
        ("resnets", "block"),
    ):
        name = name.replace(new, old)
    name = name.replace("down_blocks.", "down.")
    return "first_stage_model." + re.sub(r"up_blocks\.(\d)", lambda found: f"up.{3 - int(found[1])}", name)


def openclip(encoder: Any, prefix: str, extra_layer: bool) -> dict[str, torch.Tensor]:
    state = {name.removeprefix("text_model."): value for name, value in encoder.state_dict().items()}
    tensors = {
        f"{prefix}positional_embedding": state["embeddings.position_embedding.weight"],
        f"{prefix}token_embedding.weight": state["embeddings.token_embedding.weight"],
        f"{prefix}ln_final.weight": state["final_layer_norm.weight"],
        f"{prefix}ln_final.bias": state["final_layer_norm.bias"],
        f"{prefix}text_projection": torch.randn(WIDTH, WIDTH),
        f"{prefix}logit_scale": torch.zeros(()),
    }
    if "text_projection.weight" in state:
        tensors[f"{prefix}text_projection"] = state["text_projection.weight"].t()
    layers = encoder.config.num_hidden_layers
    for layer in range(layers + extra_layer):
        source, target = f"encoder.layers.{min(layer, layers - 1)}.", f"{prefix}transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            sides = [state[f"{source}self_attn.{side}_proj.{kind}"] for side in "qkv"]
            tensors[f"{target}attn.in_proj_{kind}"] = torch.cat(sides)
            for new, old in (
                ("self_attn.out_proj", "attn.out_proj"),
                ("layer_norm1", "ln_1"),
                ("layer_norm2", "ln_2"),
                ("mlp.fc1", "mlp.c_fc"),
                ("mlp.fc2", "mlp.c_proj"),
            ):
                tensors[f"{target}{old}.{kind}"] = state[f"{source}{new}.{kind}"]
    return tensors

"""ControlNets of model sites, one file each: where its weights are, and the configuration that it lacks. No torch.

Two layouts are about: that of the first implementation, with or without "control_model." before each name, and
diffusers' own. Both have the same structure, which is read from names and shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files.components import check_sizes
from faceid_cli.model_files.layout import Piece, Shapes, count, unet_plan
from faceid_cli.model_files.weight_file import PICKLES, read_shapes

_PREFIXES = ("control_model.", "")
_AGAIN = "copy or download the file again"
_EXAMPLE = "give a ControlNet for the family of the base model"
# By the beginning of a name in the file.
_FOREIGN = {
    "lora_controlnet": "a Control-LoRA, which holds only changes to a base model",
    "difference": "a ControlNet that holds only its difference to a base model",
    "task_embedding": "a ControlNet for several kinds of control at once",
    "control_add_embedding.": "a ControlNet for several kinds of control at once",
    "ip_adapter.": "an IP-Adapter",
    "image_proj.": "an IP-Adapter",
    "adapter.body.": "a T2I-Adapter",
    "body.0.": "a T2I-Adapter",
    "controlnet_blocks.": "a ControlNet for transformers such as SD3 or Flux",
    "controlnet_transformer_blocks.": "a ControlNet for transformers such as SD3 or Flux",
    "model.diffusion_model.": "a base model",
    "first_stage_model.": "a VAE",
}


def read_controlnet_file(path: Path) -> tuple[dict[str, Piece], dict[str, Any]]:
    """Understand a ControlNet's file; its weights stay where they are.

    Returns:
        diffusers' name of each weight -> where it is; and the configuration, without what it shares with the UNet.

    Raises:
        UnsupportedModelError: Another kind of file; the message says which, if that is known.
        ModelError: Damaged, or parts are missing.
    """
    if path.suffix.lower() not in (".safetensors", *PICKLES):
        raise UnsupportedModelError(
            f"{path} is no ControlNet that can be read",
            f"give a folder, a hub id, .safetensors or {', '.join(PICKLES)}",
        )
    shapes = read_shapes(path)
    with reading(path, ModelError, _AGAIN):
        pieces = _pieces(path, shapes)
        try:
            config = _config(path, {name: shapes[piece.key] for name, piece in pieces.items()})
        except (KeyError, IndexError, ValueError) as error:
            raise ModelError(f"{path} is incomplete: {error} is missing", _AGAIN) from error
        check_sizes(path, config)
        return pieces, config


def _pieces(path: Path, shapes: Shapes) -> dict[str, Piece]:
    for start, other in _FOREIGN.items():
        # The first ControlNets were shared together with their base model.
        if any(name.startswith(start) for name in shapes) and "control_model.zero_convs.0.0.weight" not in shapes:
            raise UnsupportedModelError(f"{path} is {other}", _EXAMPLE)
    if "controlnet_down_blocks.0.weight" in shapes:
        return {name: Piece(name) for name in shapes}
    for prefix in _PREFIXES:
        if f"{prefix}zero_convs.0.0.weight" in shapes:
            return _renamed(unet_plan(shapes, prefix).pieces)
    raise UnsupportedModelError(f"{path} is not a ControlNet", _EXAMPLE)


def _renamed(pieces: Mapping[str, Piece]) -> dict[str, Piece]:
    """Give what a UNet does not have diffusers' names, too."""
    hints = sorted({int(found.group(1)) for name in pieces if (found := re.match(r"input_hint_block\.(\d+)\.", name))})
    parts = ["conv_in", *(f"blocks.{index}" for index in range(len(hints) - 2)), "conv_out"]
    places = dict(zip(hints, parts, strict=False))

    def new_name(name: str) -> str:
        name = re.sub(r"^zero_convs\.(\d+)\.0\.", r"controlnet_down_blocks.\1.", name)
        name = re.sub(r"^middle_block_out\.0\.", "controlnet_mid_block.", name)
        hint = re.match(r"input_hint_block\.(\d+)\.(.+)", name)
        return f"controlnet_cond_embedding.{places[int(hint[1])]}.{hint[2]}" if hint else name

    return {new_name(name): piece for name, piece in pieces.items()}


def _config(path: Path, shapes: Shapes) -> dict[str, Any]:
    """The configuration by diffusers' names and shapes."""
    levels = range(count(list(shapes), "down_blocks"))
    depths = [count(list(shapes), f"down_blocks.{level}.attentions.0.transformer_blocks") for level in levels]
    middle = count(list(shapes), "mid_block.attentions.0.transformer_blocks")
    hint = "controlnet_cond_embedding"
    widened = range(1, count(list(shapes), f"{hint}.blocks"), 2)
    crossed = [name for name in shapes if name.endswith("attn2.to_k.weight")]
    if not crossed:
        raise UnsupportedModelError(f"{path} is a ControlNet without cross-attention", _EXAMPLE)
    transformer = crossed[0].partition(".transformer_blocks.")[0]
    added = shapes.get("add_embedding.linear_1.weight")
    return {
        "_class_name": "ControlNetModel",
        "in_channels": shapes["conv_in.weight"][1],
        "conditioning_channels": shapes[f"{hint}.conv_in.weight"][1],
        "conditioning_embedding_out_channels": [
            shapes[f"{hint}.conv_in.weight"][0],
            *(shapes[f"{hint}.blocks.{index}.weight"][0] for index in widened),
        ],
        "block_out_channels": [shapes[f"down_blocks.{level}.resnets.0.conv1.weight"][0] for level in levels],
        "layers_per_block": count(list(shapes), "down_blocks.0.resnets"),
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": [max(depth, 1) for depth in depths],
        "cross_attention_dim": shapes[crossed[0]][1],
        "use_linear_projection": len(shapes[f"{transformer}.proj_in.weight"]) == 2,
        "addition_embed_type": None if added is None else "text_time",
        "projection_class_embeddings_input_dim": None if added is None else added[1],
        # Of all known ControlNets only those for shuffled pictures look at the picture as a whole.
        "global_pool_conditions": "shuffle" in path.stem.lower(),
    }

"""By which names LoRA files call the layers of a pipeline. No torch.

Some trainers work on diffusers' networks, some on those of the first implementation; and kohya's scripts write
underscores for dots. So every layer is entered under all its names, with underscores throughout, and a file's name is
looked up.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from faceid_cli.model_files.layout import RESNET

# What comes before a layer's name, by the part that it belongs to. The first that fits counts.
_STARTS = {
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te_": "text_encoder",
    "lora_unet_": "unet",
    "text_encoder_2.": "text_encoder_2",
    "text_encoder.": "text_encoder",
    "text_encoders.clip_l.transformer.": "text_encoder",
    "text_encoders.clip_g.transformer.": "text_encoder_2",
    "model.diffusion_model.": "unet",
    "diffusion_model.": "unet",
    "unet.": "unet",
    # The first files of diffusers hold the UNet's layers alone, without a word before them.
    "down_blocks.": "unet",
    "mid_block.": "unet",
    "up_blocks.": "unet",
    "text_model.": "text_encoder",
}
_RESNET = {new: old for old, new in RESNET.items()}
_FIRST = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_MIDDLE = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
_OLD_TEXT = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}


def place_of(name: str) -> tuple[str, str]:
    """Return the part of the pipeline that a layer's name in a file means, and the name there, with underscores.

    The part is empty where the name says none.
    """
    for start, part in _STARTS.items():
        if name.startswith(start):
            rest = name if start.endswith(("blocks.", "block.", "text_model.")) else name.removeprefix(start)
            return part, rest.replace(".processor.", ".").replace(".", "_").removeprefix("text_model_")
    return "", name


def names_of_layer(name: str, names: Collection[str], layers: int) -> list[str]:
    """Return all names of a UNet's or text encoder's layer, with underscores.

    Args:
        name: diffusers' or transformers' name.
        names: Of all layers of this network.
        layers: Residual blocks of a level of the UNet.
    """
    name = name.removeprefix("text_model.")
    found = [name, first_name(name, names, layers)]
    start, _, end = name.rpartition(".")
    if name.endswith("to_out.0"):
        found.append(name.removesuffix(".0"))
    if start.endswith("self_attn") and end in _OLD_TEXT:
        found.append(f"{start}.{_OLD_TEXT[end]}")
    return [each.replace(".", "_") for each in found]


def first_name(name: str, names: Collection[str], layers: int) -> str:
    """Return a UNet layer's name in the first implementation, which numbers blocks through; arguments as above."""
    if name in _FIRST:
        return _FIRST[name]
    middle = re.match(r"mid_block\.(resnets\.0|attentions\.0|resnets\.1)(\..+)$", name)
    if middle:
        return f"middle_block.{_MIDDLE[middle[1]]}{_within(middle[1], middle[2])}"
    block = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)(\..+)$", name)
    if not block:
        return name
    way, level, kind, layer = block[1], int(block[2]), block[3], int(block[4])
    first = level * (layers + 1)
    if kind == "downsamplers":
        return f"input_blocks.{first + layers + 1}.0.op"
    if kind == "upsamplers":
        crossed = any(each.startswith(f"up_blocks.{level}.attentions.") for each in names)
        return f"output_blocks.{first + layers}.{2 if crossed else 1}.conv"
    number = first + layer + (way == "down")
    side = "input" if way == "down" else "output"
    return f"{side}_blocks.{number}.{int(kind == 'attentions')}{_within(kind, block[5])}"


def _within(kind: str, rest: str) -> str:
    part = rest.removeprefix(".")
    return f".{_RESNET.get(part, part)}" if kind.startswith("resnets") else rest

"""What the tests of LoRAs write, load and compare."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file

from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.orders import ModelOptions

CROSS = "mid_block.attentions.0.transformer_blocks.0"
QUERY = f"{CROSS}.attn1.to_q"  # (64, 64)
WIDER = f"{CROSS}.ff.net.0.proj"  # (512, 64)
CONV = "mid_block.resnets.0.conv1"  # (64, 64, 3, 3)


def load(folder: Path, *loras: str) -> BaseModel:
    return load_base_model(str(folder), "cpu", "float32", ModelOptions(loras=loras or None))


@cache
def plain(folder: Path) -> BaseModel:
    """The base model without a LoRA, for comparisons alone."""
    return load(folder)


def weights(base: BaseModel) -> dict[str, torch.Tensor]:
    """Of UNet and text encoders, by part and name."""
    parts = {"unet": base.unet, **{encoder.name: encoder.module for encoder in base.encoders}}
    return {
        f"{part} {name.removeprefix('text_model.')}": value
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def merged(
    folder: Path, path: Path, tensors: dict[str, torch.Tensor], scale: float = 1.0, **metadata: str
) -> BaseModel:
    save_file({name: value.clone().contiguous() for name, value in tensors.items()}, path, metadata or None)
    return load(folder, f"{path}:{scale}")


def changes(before: BaseModel, after: BaseModel) -> dict[str, torch.Tensor]:
    old, new = weights(before), weights(after)
    return {name: new[name] - old[name] for name in old if not torch.equal(new[name], old[name])}


def kohya(layer: str) -> str:
    return f"lora_unet_{layer.replace('.', '_')}"

"""Load a ControlNet beside a base model."""

from __future__ import annotations

from typing import Any

from accelerate import init_empty_weights
from diffusers import ControlNetModel

from faceid_cli.backbone.additions import check_complete, hash_of_file
from faceid_cli.backbone.memory import is_out_of_memory, memory_errors
from faceid_cli.backbone.model import BaseModel
from faceid_cli.backbone.single_file import load_pieces
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files import FAMILY_NAMES
from faceid_cli.model_files.controlnet import ControlNetFiles

# What a ControlNet's file does not show: a ControlNet begins as a copy of its UNet's first half.
_OF_THE_UNET = (
    "act_fn",
    "addition_time_embed_dim",
    "attention_head_dim",
    "downsample_padding",
    "flip_sin_to_cos",
    "freq_shift",
    "norm_eps",
    "norm_num_groups",
    "num_attention_heads",
)


def load_controlnet(files: ControlNetFiles, base: BaseModel) -> Any:
    """Load a ControlNet onto the base model's device and in its type, frozen and in eval mode.

    Args:
        files: What `model_files.controlnet.find_controlnet` found: a folder or one file, and its configuration.
        base: The base model it is to guide.

    Raises:
        UnsupportedModelError: Made for another family.
        ModelError: Damaged.
        OutOfMemoryError: It does not fit.
    """
    _check_fit(files, base)
    with memory_errors("give --low-vram, or leave out --control"):
        with reading(
            files.path, ModelError, "copy or download it again", "the ControlNet", "cannot be loaded", is_out_of_memory
        ):
            network = _from_file(files, base) if files.pieces else _from_folder(files, base)
        return network.to(base.device).requires_grad_(False).eval()


def controlnet_line(files: ControlNetFiles) -> str:
    """Name and content of a ControlNet in one line: of its folder or file, and the beginning of its SHA-256."""
    return " ".join([files.name, *(hash_of_file(path) for path in files.weights)])


def _from_folder(files: ControlNetFiles, base: BaseModel) -> Any:
    network = ControlNetModel.from_pretrained(
        files.path, torch_dtype=base.dtype, use_safetensors=True, local_files_only=True
    )
    check_complete(network, "controlnet", files.weights)
    return network


def _from_file(files: ControlNetFiles, base: BaseModel) -> Any:
    shared = {key: base.unet.config[key] for key in _OF_THE_UNET if key in base.unet.config}
    with init_empty_weights():
        network = ControlNetModel.from_config({**shared, **files.config})
    network.load_state_dict(load_pieces(files.path, files.pieces, base.dtype), strict=True, assign=True)
    return network


def _check_fit(files: ControlNetFiles, base: BaseModel) -> None:
    unet = base.unet.config
    wanted = {
        "cross_attention_dim": unet.cross_attention_dim,
        "in_channels": unet.in_channels,
        "addition_embed_type": unet.get("addition_embed_type"),
    }
    for key, value in wanted.items():
        found = files.config.get(key)
        if found is not None and found != value:
            raise UnsupportedModelError(
                f"the ControlNet {files.path} was made for another family: its {key} is {found}, "
                f"that of {base.source} is {value}",
                f"use a ControlNet for {FAMILY_NAMES[base.family]}",
            )

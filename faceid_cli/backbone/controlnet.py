"""Load a ControlNet beside a base model."""

from __future__ import annotations

from typing import Any

from diffusers import ControlNetModel

from faceid_cli.backbone.additions import hash_of_file
from faceid_cli.backbone.memory import memory_errors
from faceid_cli.backbone.model import BaseModel
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.model_files import FAMILY_NAMES
from faceid_cli.model_files.controlnet import ControlNetFiles


def load_controlnet(files: ControlNetFiles, base: BaseModel) -> Any:
    """Load a ControlNet onto the base model's device and in its type, frozen and in eval mode.

    Args:
        files: See `model_files.controlnet.find_controlnet`.
        base: The base model it is to guide.

    Raises:
        UnsupportedModelError: Made for another family.
        ModelError: Damaged.
        OutOfMemoryError: It does not fit.
    """
    _check_fit(files, base)
    with memory_errors("give --low-vram, or leave out --control"):
        try:
            network = ControlNetModel.from_pretrained(
                files.folder, torch_dtype=base.dtype, use_safetensors=True, local_files_only=True
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"the ControlNet in {files.folder} cannot be loaded: {reason}", "copy or download it again"
            ) from error
        return network.to(base.device).requires_grad_(False).eval()


def controlnet_line(files: ControlNetFiles) -> str:
    """Name and content of a ControlNet in one line: its folder's name, and the beginning of its weights' SHA-256."""
    return " ".join([files.name, *(hash_of_file(path) for path in files.weights)])


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
                f"the ControlNet in {files.folder} was made for another family: its {key} is {found}, "
                f"that of {base.source} is {value}",
                f"use a ControlNet for {FAMILY_NAMES[base.family]}",
            )

"""Numbers that are none: NaN and infinity in weights and in files, found before they become black pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from faceid_cli.backbone.model import BaseModel
from faceid_cli.errors import NotFiniteError

_NAMES = {"unet": "UNet", "vae": "VAE", "text_encoder": "text encoder", "text_encoder_2": "second text encoder"}


def check_finite(tensors: Mapping[str, Tensor], what: str, hint: str) -> None:
    """Check that tensors hold numbers.

    Args:
        tensors: By name.
        what: Whose they are, as the error's first words.
        hint: What to do where they do not.

    Raises:
        NotFiniteError: Names the first that does not.
    """
    name = _not_finite(tensors)
    if name is not None:
        raise NotFiniteError(f"{what} holds NaN or infinity: {name}", hint)


def check_finite_file(path: Path, what: str, hint: str) -> None:
    """The same for a safetensors file, tensor by tensor. One that cannot be read is for its reader to tell.

    Raises:
        NotFiniteError: Names the first tensor that does not hold numbers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                check_finite({name: file.get_tensor(name)}, what, hint)
    except (SafetensorError, OSError):
        return


def broken_weight(base: BaseModel, network: Any = None) -> str | None:
    """Find a weight that is NaN or infinite.

    Args:
        base: The base model.
        network: A ControlNet beside it, or None.

    Returns:
        Such as "the UNet's weight conv_in.weight", or None where all are numbers.
    """
    encoders = {encoder.name: encoder.module for encoder in base.encoders}
    parts = {"unet": base.unet, "vae": base.pipeline.vae, **encoders}
    named = {f"the {_NAMES[part]}": module for part, module in parts.items()}
    if network is not None:
        named["the ControlNet"] = network
    for part, module in named.items():
        name = _not_finite(module.state_dict())
        if name is not None:
            return f"{part}'s weight {name}"
    return None


def is_finite(tensor: Tensor) -> bool:
    """Whether all of a tensor's numbers are finite; whole numbers are."""
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    return next((name for name, tensor in tensors.items() if not is_finite(tensor)), None)

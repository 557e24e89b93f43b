"""What working with an autoencoder asks for, whichever way it is used: its precision, and how its latents lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from faceid_cli.backbone.model import BaseModel


@contextmanager
def in_float32(vae: Any, needed: bool = True) -> Iterator[None]:
    """Have an autoencoder in float32 while the context lasts, if that is needed."""
    if not needed:
        yield
        return
    dtype = vae.dtype
    try:
        vae.to(torch.float32)  # in here: one that does not fit is cast half
        yield
    finally:
        vae.to(dtype)


def latent_statistics(base: BaseModel, latents: Tensor) -> tuple[Tensor, Tensor] | None:
    """Mean and spread that Stable Diffusion XL's latents are brought to, like the latents; None where none are stated.

    Args:
        base: The base model.
        latents: What they are for, (B, channels, h, w).

    Returns:
        Two of (1, channels, 1, 1), or None.
    """
    config = base.pipeline.vae.config
    mean, spread = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if base.family != "sdxl" or mean is None or spread is None:
        return None
    stated = [torch.tensor(each).view(1, -1, 1, 1).to(latents) for each in (mean, spread)]
    return stated[0], stated[1]

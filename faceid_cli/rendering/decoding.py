"""From latents to pictures, as the stock pipelines do it, but never from numbers that are none.

Shapes: B pictures, h x w a latent picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.backbone.autoencoder import in_float32, latent_statistics
from faceid_cli.backbone.finite import is_finite


@dataclass(frozen=True)
class Lost:
    """What stands in the place of a picture whose numbers are not finite.

    Attributes:
        part: Where they ceased to be: "unet" or "vae".
    """

    part: str


def decode(base: BaseModel, latents: Tensor) -> list[Image.Image | Lost]:
    """Decode latents, (B, channels, h, w), one by one where something is wrong with some of them.

    Autoencoders may overflow in half precision. Those that say so themselves are always run in float32; another is run
    once more in float32 for the pictures in which it did.
    """
    alive = [index for index, each in enumerate(latents) if is_finite(each)]
    images: list[Image.Image | Lost] = [Lost("unet")] * len(latents)
    if not alive:
        return images
    chosen = latents if len(alive) == len(latents) else latents[alive]
    pixels = _decoded(base, chosen, upcast=_must_upcast(base))
    for row, index in enumerate(alive):
        picture = pixels[row : row + 1]
        if not is_finite(picture) and base.pipeline.vae.dtype != torch.float32:
            picture = _decoded(base, chosen[row : row + 1], upcast=True)
        images[index] = _image(base, picture) if is_finite(picture) else Lost("vae")
    return images


def _must_upcast(base: BaseModel) -> bool:
    """Whether the autoencoder says of itself that it overflows in the precision that it was loaded in."""
    vae = base.pipeline.vae
    return base.family == "sdxl" and vae.dtype == torch.float16 and bool(getattr(vae.config, "force_upcast", False))


def _decoded(base: BaseModel, latents: Tensor, upcast: bool) -> Tensor:
    """Pixels from -1 to 1, (B, 3, height, width)."""
    vae = base.pipeline.vae
    latents = latents.to(torch.float32) if upcast else latents
    if (statistics := latent_statistics(base, latents)) is not None:
        mean, spread = statistics
        latents = latents * spread / vae.config.scaling_factor + mean
    else:
        latents = latents / vae.config.scaling_factor
    with in_float32(vae, upcast):
        pixels: Tensor = vae.decode(latents, return_dict=False)[0]
    return pixels


def _image(base: BaseModel, pixels: Tensor) -> Image.Image:
    image: Image.Image = base.pipeline.image_processor.postprocess(pixels, output_type="pil", do_denormalize=[True])[0]
    return image

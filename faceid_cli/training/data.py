"""What training is fed with: cached latents of the crops, where they count, and seeded draws.

Shapes: P pictures, C x h x w a latent picture, B batch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.backbone.autoencoder import in_float32
from faceid_cli.errors import UsageError
from faceid_cli.faces.crop import head_box
from faceid_cli.types import FaceCrop


class Batch(NamedTuple):
    """One step's draws, on the CPU or where they are needed.

    Attributes:
        pictures: (B,) which latent picture, int64.
        sentences: (B,) which sentence, int64.
        timesteps: (B,) int64.
        noise: (B, C, h, w) float32.
    """

    pictures: Tensor
    sentences: Tensor
    timesteps: Tensor
    noise: Tensor


class Draws:
    """Seeded draws of training batches, on the CPU and with one generator per purpose.

    Timesteps are stratified: the range is cut into B equal parts and each row of the batch gets one of them, so every
    batch trains several stages; each timestep is still equally likely.

    Args:
        seed: Equal seeds give equal draws.
        pictures: Number of latent pictures to choose from.
        sentences: Number of sentences to choose from.
        timesteps: Number of training timesteps.
        latent_shape: (C, h, w).
    """

    PURPOSES = ("pictures", "sentences", "timesteps", "noise")

    def __init__(
        self,
        seed: int,
        *,
        pictures: int,
        sentences: int,
        timesteps: int,
        latent_shape: tuple[int, ...],
    ) -> None:
        self._pictures, self._sentences, self._timesteps = pictures, sentences, timesteps
        self._latent_shape = latent_shape
        self._generators = {purpose: seeded_generator(seed, purpose) for purpose in self.PURPOSES}

    def draw(self, size: int) -> Batch:
        """Return the next batch."""
        generators = self._generators
        return Batch(
            pictures=torch.randint(self._pictures, (size,), generator=generators["pictures"]),
            sentences=torch.randint(self._sentences, (size,), generator=generators["sentences"]),
            timesteps=self._stratified(size, generators["timesteps"]),
            noise=torch.randn((size, *self._latent_shape), generator=generators["noise"]),
        )

    def state(self) -> dict[str, Tensor]:
        """Return each generator's state, uint8."""
        return {purpose: generator.get_state() for purpose, generator in self._generators.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a state that `state` returned."""
        for purpose, generator in self._generators.items():
            generator.set_state(state[purpose])

    def _stratified(self, size: int, generator: torch.Generator) -> Tensor:
        within = torch.rand(size, generator=generator, dtype=torch.float64)
        share = (torch.arange(size) + within) / size
        drawn = (share * self._timesteps).long()
        return drawn.clamp(max=self._timesteps - 1)


def seeded_generator(seed: int, purpose: str) -> torch.Generator:
    """Return a generator on the CPU whose stream depends on the seed and the purpose."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def encode_latents(base: BaseModel, crops: Sequence[FaceCrop], mirror: bool = False) -> Tensor:
    """Encode the crops once, as the mean of the VAE's distribution; (P, C, h, w) float32 on the model's device.

    Args:
        base: The base model.
        crops: Training crops of the base model's size.
        mirror: Append each crop's mirror image: P is then twice the number of crops.

    Raises:
        UsageError: No crops, or one of another size.
    """
    if not crops:
        raise UsageError("there is no picture to learn from")
    images = [crop.image for crop in crops]
    for crop in crops:
        if crop.image.size != (base.size_px, base.size_px):
            raise UsageError(
                f"the crop of {crop.photo_path} is {crop.image.width} x {crop.image.height} px, "
                f"the base model needs {base.size_px} x {base.size_px}"
            )
    if mirror:
        images += [ImageOps.mirror(image) for image in images]
    vae = base.pipeline.vae
    # Autoencoders that overflow in float16, as that of Stable Diffusion XL does, say so.
    upcast = base.dtype == torch.float16 and bool(getattr(vae.config, "force_upcast", False))
    dtype = torch.float32 if upcast else base.dtype
    with torch.no_grad(), in_float32(vae, upcast):
        return torch.cat([_encode_image(base, image, dtype) for image in images])


def loss_weights(
    crops: Sequence[FaceCrop], latents: Tensor, mirror: bool = False, background: float = 1.0
) -> Tensor | None:
    """Return how much each place of the latent pictures counts: nothing where it shows another person's head.

    Args:
        crops: The crops that are learned from, P or, mirrored, P / 2 of them.
        latents: What `encode_latents` made of them, (P, C, h, w).
        mirror: As for `encode_latents`.
        background: How much places outside the person's head count, those inside counting 1.

    Returns:
        (P, 1, h, w) float32 on the device of the latents, or None where all places count alike.
    """
    weights = free_of_others(crops, latents, mirror) if any(crop.others for crop in crops) else None
    if background == 1 or all(crop.face is None for crop in crops):
        return weights
    heads = head_weights(crops, latents, mirror)
    placed = heads + background * (1 - heads)
    return placed if weights is None else placed * weights


def free_of_others(crops: Sequence[FaceCrop], latents: Tensor, mirror: bool = False) -> Tensor:
    """Return where the latent pictures show no other person's head: (P, 1, h, w) float32 of 0 and 1."""
    height, width = latents.shape[-2:]
    weights = torch.ones(len(crops), 1, height, width)
    for index, crop in enumerate(crops):
        across, down = width / crop.image.width, height / crop.image.height
        for box in crop.others:
            rows = slice(math.floor(box.y * down), math.ceil((box.y + box.height) * down))
            columns = slice(math.floor(box.x * across), math.ceil((box.x + box.width) * across))
            weights[index, :, rows, columns] = 0
        if crop.face is not None:  # where heads overlap, the person's own face counts
            own = crop.face.box
            rows = slice(max(round(own.y * down), 0), round((own.y + own.height) * down))
            columns = slice(max(round(own.x * across), 0), round((own.x + own.width) * across))
            weights[index, :, rows, columns] = 1
    return _with_mirrored(weights, mirror).to(latents.device)


def head_weights(crops: Sequence[FaceCrop], latents: Tensor, mirror: bool = False) -> Tensor:
    """Return where the latent pictures show the person's head: 1 there, 0 elsewhere, and 1 everywhere without a face.

    Args:
        crops: The crops that are learned from, P or, mirrored, P / 2 of them.
        latents: What `encode_latents` made of them, (P, C, h, w).
        mirror: As for `encode_latents`.

    Returns:
        (P, 1, h, w) float32 on the device of the latents.
    """
    height, width = latents.shape[-2:]
    weights = torch.zeros(len(crops), 1, height, width)
    for weight, crop in zip(weights, crops, strict=True):
        if crop.face is None:
            weight[:] = 1
            continue
        head, across, down = head_box(crop.face), width / crop.image.width, height / crop.image.height
        top, bottom = max(math.floor(head.y * down), 0), max(math.ceil((head.y + head.height) * down), 1)
        left, right = max(math.floor(head.x * across), 0), max(math.ceil((head.x + head.width) * across), 1)
        weight[:, top:bottom, left:right] = 1
    return _with_mirrored(weights, mirror).to(latents.device)


def _with_mirrored(weights: Tensor, mirror: bool) -> Tensor:
    return torch.cat([weights, weights.flip(-1)]) if mirror else weights


def hash_of_crop(crop: FaceCrop) -> str:
    """Return the SHA-256 of a crop: of its pixels, and of where it shows other people."""
    image = crop.image.convert("RGB")
    others = "".join(f"{box} " for box in crop.others)
    return hashlib.sha256(f"{image.width} {image.height} {others}".encode() + image.tobytes()).hexdigest()


def _encode_image(base: BaseModel, image: Image.Image, dtype: torch.dtype) -> Tensor:
    vae = base.pipeline.vae
    pixels = torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32) / 127.5 - 1.0)
    encoded = vae.encode(pixels.permute(2, 0, 1).unsqueeze(0).to(base.device, dtype))
    latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return (latents.float() - shift) * float(vae.config.scaling_factor)

"""A loaded base model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from faceid_cli.types import BUILTIN


@dataclass(frozen=True)
class TextEncoder:
    """One of a base model's text encoders.

    Attributes:
        name: "text_encoder" or "text_encoder_2".
        module: The text transformer.
        tokenizer: The transformers tokenizer that was made for it.
    """

    name: str
    module: Any
    tokenizer: Any

    @property
    def width(self) -> int:
        """Width D of its token embeddings."""
        return int(self.module.get_input_embeddings().weight.shape[1])

    @property
    def window(self) -> int:
        """Text positions of a prompt, start and end token included."""
        return min(int(self.tokenizer.model_max_length), int(self.module.config.max_position_embeddings))


@dataclass(frozen=True)
class BaseModel:
    """A frozen base model on its device.

    Attributes:
        source: What it was loaded from: "builtin", a folder, a file or a hub id.
        family: "sd1" or "sd2": one CLIP text encoder; "sdxl": two, whose outputs are joined, and a pooled one.
        fingerprint: Of the weights; see `fingerprint_of`.
        pipeline: The diffusers pipeline; every module is in eval mode and takes no gradients.
        device: Where the modules are.
        dtype: Type of their weights.
        additions: What was put into it beside its own weights, one line each: LoRA files, another VAE.
        low_vram: Whether to trade time for memory.
        compiled: Whether torch has translated its parts.
        notes: What is worth telling the user about how it was loaded.
    """

    source: str
    family: str
    fingerprint: str
    pipeline: Any
    device: torch.device
    dtype: torch.dtype
    additions: tuple[str, ...] = ()
    low_vram: bool = False
    compiled: bool = False
    notes: tuple[str, ...] = ()

    @property
    def unet(self) -> Any:
        """The denoiser."""
        return self.pipeline.unet

    @property
    def text_encoder(self) -> Any:
        """The first text transformer."""
        return self.pipeline.text_encoder

    @property
    def tokenizer(self) -> Any:
        """The first text transformer's tokenizer."""
        return self.pipeline.tokenizer

    @property
    def encoders(self) -> tuple[TextEncoder, ...]:
        """All text encoders, in the order in which their outputs are joined."""
        first = TextEncoder("text_encoder", self.pipeline.text_encoder, self.pipeline.tokenizer)
        if self.family != "sdxl":
            return (first,)
        return first, TextEncoder("text_encoder_2", self.pipeline.text_encoder_2, self.pipeline.tokenizer_2)

    @property
    def modules(self) -> tuple[Any, ...]:
        """UNet, text encoders and VAE."""
        return self.unet, *(encoder.module for encoder in self.encoders), self.pipeline.vae

    @property
    def offloads(self) -> bool:
        """Whether parts wait on the CPU while they are not at work, see `memory.at_work`."""
        return self.low_vram and self.device.type != "cpu"

    def parts(self, *names: str) -> tuple[Any, ...]:
        """The modules of some parts: "unet", "text" (all text encoders) and "vae"."""
        known = {
            "unet": (self.unet,),
            "text": tuple(encoder.module for encoder in self.encoders),
            "vae": (self.pipeline.vae,),
        }
        return tuple(module for name in names for module in known[name])

    @property
    def size_px(self) -> int:
        """Width and height of the pictures it was trained on, in pixels."""
        return int(self.unet.config.sample_size) * int(self.pipeline.vae_scale_factor)

    @property
    def is_builtin(self) -> bool:
        """Whether it is the model of drawn portraits that ships with the package."""
        return self.source == BUILTIN

    @property
    def latent_channels(self) -> int:
        """Channels of a latent picture."""
        return int(self.unet.config.in_channels)

    @property
    def prediction_type(self) -> str:
        """What the denoiser predicts: "epsilon", "v_prediction" or "sample"."""
        return str(self.pipeline.scheduler.config.prediction_type)

    @property
    def num_train_timesteps(self) -> int:
        """Number of timesteps of the training noise schedule."""
        return int(self.pipeline.scheduler.config.num_train_timesteps)

    @property
    def text_window(self) -> int:
        """Text positions of a prompt, start and end token included."""
        return min(encoder.window for encoder in self.encoders)

    @property
    def text_width(self) -> int:
        """Width D of the first text encoder's token embeddings."""
        return self.encoders[0].width

    def time_ids(self, width: int, height: int) -> Tensor | None:
        """Return what Stable Diffusion XL is told of a picture: made at this size in pixels, uncropped; (1, 6).

        None for the other families. Training and rendering tell it the same.
        """
        if self.family != "sdxl":
            return None
        return torch.tensor([[height, width, 0, 0, height, width]], device=self.device, dtype=self.dtype)

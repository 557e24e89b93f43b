"""Base models: load one, frozen, on the right device; the only file that builds a pipeline.

A base model is a Stable Diffusion pipeline with one CLIP text encoder. All sizes are read from its configuration:
nothing here or above assumes the sizes of Stable Diffusion 1.5.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from faceid_cli.errors import ModelError, OutOfMemoryError, UnsupportedModelError, UsageError
from faceid_cli.model_files import (
    BUILTIN,
    SUPPORTED,
    check_model_folder,
    fingerprint_of,
    model_folder,
    weight_variant,
)

__all__ = ["BaseModel", "fingerprint_of", "load_base_model", "memory_errors"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


@dataclass(frozen=True)
class BaseModel:
    """A frozen base model on its device.

    Attributes:
        source: What it was loaded from: "builtin", a folder or a hub id.
        family: "sd1": one CLIP text encoder, one UNet with cross-attention to it.
        fingerprint: Of the weights; see `fingerprint_of`.
        pipeline: The diffusers `StableDiffusionPipeline`; every module is in eval mode and takes no gradients.
        device: Where the modules are.
        dtype: Type of their weights.
    """

    source: str
    family: str
    fingerprint: str
    pipeline: Any
    device: torch.device
    dtype: torch.dtype

    @property
    def unet(self) -> Any:
        """The denoiser."""
        return self.pipeline.unet

    @property
    def text_encoder(self) -> Any:
        """The text transformer."""
        return self.pipeline.text_encoder

    @property
    def tokenizer(self) -> Any:
        """The text transformer's tokenizer."""
        return self.pipeline.tokenizer

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
        return min(int(self.tokenizer.model_max_length), int(self.text_encoder.config.max_position_embeddings))

    @property
    def text_width(self) -> int:
        """Width D of the text encoder's token embeddings."""
        return int(self.text_encoder.get_input_embeddings().weight.shape[1])


def load_base_model(source: str = BUILTIN, device: str = "auto", precision: str = "auto") -> BaseModel:
    """Load a base model, frozen and in eval mode.

    Args:
        source: "builtin", a local folder in diffusers' layout, or a hub id (local cache first).
        device: "auto" (a CUDA device, Apple's mps, else the CPU), or a torch device such as "cpu" or "cuda:1".
        precision: "auto" (float32 on the CPU and mps; on CUDA bfloat16 where it is native, else float16), or a type.

    Raises:
        ModelNotFoundError: Nothing there, or files are missing.
        UnsupportedModelError: SDXL and other families, single files, pickled weights.
        ModelError: Damaged files.
        UsageError: A device that this machine does not have.
        OutOfMemoryError: It does not fit.
    """
    target = _device(device)
    dtype = _dtype(precision, target)
    folder = model_folder(source)
    check_model_folder(folder)
    fingerprint = fingerprint_of(source)
    with memory_errors("close other programs, or choose a smaller base model"):
        pipeline = _read_pipeline(folder, dtype)
        _check_parts(pipeline, folder)
        pipeline.to(target)
    for module in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
        module.requires_grad_(False).eval()
        if module.dtype != dtype:  # a diffusers that does not know `dtype` yet
            module.to(dtype)
    pipeline.set_progress_bar_config(disable=True)
    return BaseModel(source, "sd1", fingerprint, pipeline, target, dtype)


@contextmanager
def memory_errors(hint: str) -> Iterator[None]:
    """Turn every kind of "out of memory" raised inside, on any device, into `OutOfMemoryError` with this hint."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError("not enough memory", hint) from error
    except RuntimeError as error:  # torch.cuda.OutOfMemoryError is one; the CPU allocator and mps raise plain ones
        if not any(words in str(error).lower() for words in _MEMORY_WORDS):
            raise
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemoryError("not enough memory on the device", hint) from error


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}", "use auto or cpu") from error
    return device


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision != "auto":
        if precision not in _DTYPES:
            raise UsageError(f"unknown precision {precision!r}", f"choose one of: auto, {', '.join(_DTYPES)}")
        return _DTYPES[precision]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _read_pipeline(folder: Path, dtype: torch.dtype) -> Any:
    with _no_progress_bars():
        try:
            return StableDiffusionPipeline.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                variant=weight_variant(folder),
                local_files_only=True,
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"the base model in {folder} cannot be loaded: {reason}", "copy or download the model again"
            ) from error


def _check_parts(pipeline: Any, folder: Path) -> None:
    unet, vae, text_encoder = pipeline.unet.config, pipeline.vae.config, pipeline.text_encoder.config
    if unet.in_channels != vae.latent_channels:
        raise UnsupportedModelError(
            f"the UNet in {folder} takes {unet.in_channels} channels, the VAE gives {vae.latent_channels}: "
            "an inpainting or editing model",
            SUPPORTED,
        )
    if unet.cross_attention_dim != text_encoder.hidden_size:
        raise UnsupportedModelError(
            f"the UNet in {folder} expects text of width {unet.cross_attention_dim}, "
            f"its text encoder gives {text_encoder.hidden_size}",
            SUPPORTED,
        )
    prediction = pipeline.scheduler.config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction", "sample"):
        raise UnsupportedModelError(f"the model in {folder} predicts {prediction!r}", SUPPORTED)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """The loading bars of the libraries would mix with the command line's own output."""
    libraries = (diffusers_logging, transformers_logging)
    shown = [library.is_progress_bar_enabled() for library in libraries]
    for library in libraries:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, was_shown in zip(libraries, shown, strict=True):
            if was_shown:
                library.enable_progress_bar()

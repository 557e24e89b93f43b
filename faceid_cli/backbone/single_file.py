"""Pipelines from one checkpoint file, offline: configurations and vocabulary come with the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.model_files.components import check_sizes
from faceid_cli.model_files.layout import Piece, vae_pieces
from faceid_cli.model_files.single_file import SingleFile, check_vae, read_single_file, vae_config
from faceid_cli.model_files.vocabulary import write_vocabulary
from faceid_cli.model_files.weight_file import read_pickled_weights, read_shapes

_AGAIN = "copy or download the file again"
_VOCABULARY_SIZE = 49408


def pipeline_from_file(path: Path, dtype: torch.dtype, vae: Any | None = None) -> Any:
    """Build the pipeline of a checkpoint file.

    Args:
        path: A `.safetensors` or `.ckpt` file.
        dtype: Type of the weights.
        vae: Used instead of the file's own autoencoder.

    Raises:
        ModelError: In its subclasses; see `model_files.single_file.read_single_file`.
    """
    single = read_single_file(path)
    if vae is None and "vae" not in single.pieces:
        raise ModelError(f"{path} has no VAE of its own", "give one with --vae FILE")
    vocabulary = single.configs["text_encoder"]["vocab_size"]
    if vocabulary != _VOCABULARY_SIZE:
        raise UnsupportedModelError(
            f"{path} has a vocabulary of {vocabulary} words, not CLIP's", "use a diffusers folder"
        )
    parts = {name: load_pieces(path, pieces, dtype) for name, pieces in single.pieces.items()}
    unet = _module(_empty(path, lambda: UNet2DConditionModel.from_config(single.configs["unet"])), parts["unet"], path)
    if vae is None:
        vae = _module(_empty(path, lambda: AutoencoderKL.from_config(single.configs["vae"])), parts["vae"], path)
    first = _text_encoder(CLIPTextModel, single, "text_encoder", parts)
    common = {
        "vae": vae,
        "text_encoder": first,
        "unet": unet,
        "scheduler": DDIMScheduler(**single.configs["scheduler"]),
    }
    if single.family != "sdxl":
        pad = "!" if single.family == "sd2" else "<|endoftext|>"
        return StableDiffusionPipeline(
            **common,
            tokenizer=_tokenizer(pad),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    return StableDiffusionXLPipeline(
        **common,
        text_encoder_2=_text_encoder(CLIPTextModelWithProjection, single, "text_encoder_2", parts),
        tokenizer=_tokenizer("<|endoftext|>"),
        tokenizer_2=_tokenizer("!"),
        add_watermarker=False,
    )


def vae_from_file(path: Path, dtype: torch.dtype, family: str) -> Any:
    """Build an autoencoder from a file of its own, or from a full checkpoint.

    Raises:
        UnsupportedModelError: There is no autoencoder in it.
        ModelError: Damaged.
    """
    shapes = read_shapes(path)
    pieces = vae_pieces(shapes) or vae_pieces(shapes, "")
    check_vae(path, shapes, pieces)
    try:
        config = vae_config(shapes, pieces, family == "sdxl")
    except KeyError as error:
        raise ModelError(f"the VAE in {path} is incomplete: {error.args[0]} is missing", _AGAIN) from error
    except IndexError as error:
        raise ModelError(f"the VAE in {path} has weights of odd shapes", _AGAIN) from error
    check_sizes(path, config)
    return _module(_empty(path, lambda: AutoencoderKL.from_config(config)), load_pieces(path, pieces, dtype), path)


def load_pieces(path: Path, pieces: Mapping[str, Piece], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return a component's weights by diffusers' names, on the CPU and in the given type.

    Those of a safetensors file that are stored so stay in the file, and are read when they are used.
    """
    if path.suffix.lower() == ".safetensors":
        with opened(path) as file:
            return {name: _cut(file.get_tensor(piece.key), piece, dtype) for name, piece in pieces.items()}
    tensors = read_pickled_weights(path)
    return {name: _cut(tensors[piece.key], piece, dtype) for name, piece in pieces.items()}


def opened(path: Path) -> Any:
    """Open a safetensors file for reading its tensors.

    Raises:
        ModelError: Damaged in a way that its list of tensors does not show.
    """
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"weight file {path} is damaged: {str(error)[:200]}", _AGAIN) from error


def _cut(tensor: Tensor, piece: Piece, dtype: torch.dtype) -> Tensor:
    if piece.third is not None:
        tensor = tensor.chunk(3)[piece.third]
    if piece.transposed:
        tensor = tensor.t()
    if piece.squeezed:
        tensor = tensor.flatten(1)
    return tensor.to(dtype).contiguous()


def _empty(path: Path, build: Callable[[], Any]) -> Any:
    """Build a module without the random weights that it would begin with: they take memory, and minutes."""
    try:
        with init_empty_weights():
            return build()
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        raise UnsupportedModelError(
            f"{path} is of sizes that no Stable Diffusion has: {str(error)[:200]}", "use the model's diffusers folder"
        ) from error


def _module(module: Any, weights: Mapping[str, Tensor], path: Path) -> Any:
    """Put the weights into the module; each must fit, and none may be left over."""
    try:
        module.load_state_dict(dict(weights), strict=True, assign=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UnsupportedModelError(
            f"{path} does not fit a {type(module).__name__}: {lines[-1][:200]}",
            "use the model's diffusers folder, if there is one",
        ) from error
    return module


def _text_encoder(kind: Any, single: SingleFile, name: str, parts: Mapping[str, Mapping[str, Tensor]]) -> Any:
    module = _empty(single.path, lambda: kind(CLIPTextConfig(**single.configs[name])))
    weights = dict(parts[name])
    if not any(key.startswith("text_model.") for key in module.state_dict()):  # transformers from 5.6 on
        weights = {key.removeprefix("text_model."): value for key, value in weights.items()}
    if kind is CLIPTextModel:
        weights.pop("text_projection.weight", None)
    return _module(module, weights, single.path)


def _tokenizer(pad_token: str) -> Any:
    with TemporaryDirectory() as folder:
        write_vocabulary(Path(folder))
        return CLIPTokenizer.from_pretrained(folder, model_max_length=77, pad_token=pad_token)

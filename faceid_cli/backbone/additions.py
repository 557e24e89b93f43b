"""What users put into a base model: LoRA adapters, and another autoencoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL

from faceid_cli.backbone.single_file import vae_from_file
from faceid_cli.errors import BrokenInstallError, ModelError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.model_files.lora import check_lora, parse_lora

_CHUNK_BYTES = 1 << 22


def load_vae(source: str, dtype: torch.dtype, family: str) -> Any:
    """Load an autoencoder: a file, a folder of one, or a model's folder with one in it.

    Raises:
        ModelNotFoundError: Nothing there.
        ModelError: It cannot be used.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return vae_from_file(path, dtype, family)
    folder = path / "vae" if (path / "vae" / "config.json").is_file() else path
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(f"no VAE at {source}", "give a .safetensors file, or a folder with a config.json")
    try:
        return AutoencoderKL.from_pretrained(folder, torch_dtype=dtype, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"the VAE in {folder} cannot be loaded: {_reason(error)}", "copy or download it again"
        ) from error


def add_loras(pipeline: Any, loras: Sequence[str]) -> tuple[str, ...]:
    """Merge LoRA adapters into a pipeline's weights, and return one line on each.

    They are merged, not kept beside: the attention hooks then see plain layers, and rendering costs nothing more.

    Raises:
        ModelNotFoundError: No such file.
        UnsupportedModelError: Made for another family, not a LoRA, or a pickle.
        BrokenInstallError: peft is not installed.
    """
    if not loras:
        return ()
    if find_spec("peft") is None:
        raise BrokenInstallError("LoRA adapters need the package peft", "pip install 'faceid-cli[lora]'")
    parsed = [parse_lora(text) for text in loras]
    for path, _ in parsed:
        check_lora(path, int(pipeline.unet.config.cross_attention_dim))
    names = [f"lora_{index}" for index in range(len(parsed))]
    for name, (path, _) in zip(names, parsed, strict=True):
        _load_lora(pipeline, path, name)
    pipeline.set_adapters(names, [scale for _, scale in parsed])
    pipeline.fuse_lora(adapter_names=names)
    pipeline.unload_lora_weights()
    return tuple(f"lora {path.name} {hash_of_file(path)} {scale:g}" for path, scale in parsed)


def hash_of_file(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def _load_lora(pipeline: Any, path: Path, name: str) -> None:
    try:
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=name, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise UnsupportedModelError(
            f"the LoRA {path} does not fit the base model: {_reason(error)}", "use a LoRA of the base model's family"
        ) from error


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__

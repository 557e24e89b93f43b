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
from faceid_cli.errors import BrokenInstallError, ModelError, ModelNotFoundError, UnsupportedModelError, UsageError
from faceid_cli.model_files.weight_file import open_weight_file

_CHUNK_BYTES = 1 << 22
_DOWN = ("lora_down.weight", "lora_A.weight", "lora_A.default.weight", "lora.down.weight")


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


def parse_lora(text: str) -> tuple[Path, float]:
    """Read "FILE" or "FILE:SCALE".

    Raises:
        UsageError: A scale that is no number.
    """
    path, colon, scale = text.rpartition(":")
    if not colon or Path(text).expanduser().is_file():
        return Path(text).expanduser(), 1.0
    try:
        return Path(path).expanduser(), float(scale)
    except ValueError:
        if path and not scale.replace(".", "").isalpha() and "/" not in scale and "\\" not in scale:
            raise UsageError(f"the scale of {text!r} is no number", "write it as FILE:0.8") from None
        return Path(text).expanduser(), 1.0


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
        raise BrokenInstallError("LoRA adapters need the package peft", "pip install peft")
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


def check_lora(path: Path, text_width: int) -> None:
    """Check that a file is a LoRA and made for a UNet that listens to text of this width.

    Raises:
        ModelNotFoundError, UnsupportedModelError, ModelError: It is not.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"no LoRA at {path}", "check the spelling; FILE or FILE:SCALE")
    if path.suffix.lower() != ".safetensors":
        raise UnsupportedModelError(
            f"{path} is not a .safetensors file; pickles can run code and are never loaded",
            "use the .safetensors file of this LoRA",
        )
    tensors = open_weight_file(path).tensors
    down = {name: entry.shape for name, entry in tensors.items() if name.endswith(_DOWN)}
    if not down:
        raise UnsupportedModelError(
            f"{path} is not a LoRA that can be read", "give a LoRA in kohya's or diffusers' layout"
        )
    crossed = {shape[1] for name, shape in down.items() if "attn2" in name and ("to_k" in name or "to_v" in name)}
    if crossed - {text_width}:
        raise UnsupportedModelError(
            f"{path} was made for another family: for text of width {crossed.pop()}, the base model's is {text_width}",
            "use a LoRA of the base model's family",
        )


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

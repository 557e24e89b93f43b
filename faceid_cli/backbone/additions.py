"""What users put into a base model: LoRA adapters, and another autoencoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor

from faceid_cli.backbone.finite import check_finite_file
from faceid_cli.backbone.memory import is_out_of_memory
from faceid_cli.backbone.single_file import vae_from_file
from faceid_cli.errors import BrokenInstallError, ModelError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.model_files.families import canonical_name
from faceid_cli.model_files.lora import check_lora, lora_layers, parse_lora
from faceid_cli.model_files.weight_file import open_weight_file

_CHUNK_BYTES = 1 << 22
_KOHYA = ".lora_down.weight"


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
        vae = AutoencoderKL.from_pretrained(folder, torch_dtype=dtype, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"the VAE in {folder} cannot be loaded: {_reason(error)}", "copy or download it again"
        ) from error
    check_complete(vae, "vae", sorted(folder.glob("diffusion_pytorch_model*.safetensors")))
    return vae


def check_complete(network: Any, component: str, files: Sequence[Path]) -> None:
    """Check that weight files hold every weight of a network; the libraries would make up what is missing.

    Raises:
        ModelError: They do not.
    """
    found = {None, *(canonical_name(component, name) for file in files for name in open_weight_file(file).tensors)}
    for name in network.state_dict():
        if canonical_name(component, name) not in found:
            raise ModelError(f"{files[0].parent} is incomplete: {name} is missing", "copy or download it again")


def add_loras(pipeline: Any, loras: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Merge LoRA adapters into a pipeline's weights.

    They are merged, not kept beside: the attention hooks then see plain layers, and rendering costs nothing more.

    Returns:
        One line on each, and what is worth telling the user about them.

    Raises:
        ModelNotFoundError: No such file.
        UnsupportedModelError: Made for another family, not a LoRA, or a pickle.
        NotFiniteError: NaN or infinity in it.
        BrokenInstallError: peft is not installed.
    """
    if not loras:
        return (), ()
    if find_spec("peft") is None:
        raise BrokenInstallError("LoRA adapters need the package peft", "pip install 'faceid-cli[lora]'")
    parsed = [parse_lora(text) for text in loras]
    for path, _ in parsed:
        check_lora(path, int(pipeline.unet.config.cross_attention_dim))
        check_finite_file(path, f"the LoRA {path}", "download it again, or leave it out")
    names = [f"lora_{index}" for index in range(len(parsed))]
    notes = [_load_lora(pipeline, path, name) for name, (path, _) in zip(names, parsed, strict=True)]
    pipeline.set_adapters(names, [scale for _, scale in parsed])
    pipeline.fuse_lora(adapter_names=names)
    pipeline.unload_lora_weights()
    lines = tuple(f"lora {path.name} {hash_of_file(path)} {scale:g}" for path, scale in parsed)
    return lines, tuple(note for note in notes if note)


def hash_of_file(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def _load_lora(pipeline: Any, path: Path, name: str) -> str:
    """Put an adapter beside the weights, and return a line if parts of it were left out."""
    layers = lora_layers(path)
    try:
        if any(layer.endswith(_KOHYA) for layer in layers):
            pipeline.load_lora_weights(_evenly_scaled(path), adapter_name=name)
        else:
            folder = str(path.parent)
            pipeline.load_lora_weights(folder, weight_name=path.name, adapter_name=name, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        raise UnsupportedModelError(
            f"the LoRA {path} does not fit the base model: {_reason(error)}", "use a LoRA of the base model's family"
        ) from error
    # diffusers passes over what it does not know, without an error.
    held, used = len(layers), _layers_of(pipeline, name)
    if not used:
        raise UnsupportedModelError(
            f"the LoRA {path} does not fit the base model: none of its {held} parts does",
            "use a LoRA of the base model's family, in kohya's or diffusers' layout",
        )
    return f"LoRA {path.name}: {held - used} of its {held} parts do not fit and are left out" if used < held else ""


def _evenly_scaled(path: Path) -> dict[str, Tensor]:
    """A file's tensors with each layer's own scale multiplied in, and all of one rank.

    diffusers takes the most frequent scale for all layers of a text encoder; resized LoRAs have many.
    """
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    scales = {name: tensors.pop(name) for name in list(tensors) if name.endswith(".alpha")}
    widest = max(len(tensor) for name, tensor in tensors.items() if name.endswith(_KOHYA))
    for down in [name for name in tensors if name.endswith(_KOHYA)]:
        layer = down.removesuffix(_KOHYA)
        up, rank = f"{layer}.lora_up.weight", len(tensors[down])
        scale = float(scales.get(f"{layer}.alpha", rank)) / rank
        narrowing, widening = tensors[down], tensors[up] * scale
        tensors[down] = torch.cat([narrowing, narrowing.new_zeros(widest - rank, *narrowing.shape[1:])])
        more = widening.new_zeros(len(widening), widest - rank, *widening.shape[2:])
        tensors[up] = torch.cat([widening, more], dim=1)
    return tensors


def _layers_of(pipeline: Any, name: str) -> int:
    """How many layers an adapter has been put beside."""
    encoders = (pipeline.text_encoder, getattr(pipeline, "text_encoder_2", None))
    networks = [network for network in (pipeline.unet, *encoders) if network is not None]
    return sum(name in getattr(module, "lora_A", {}) for network in networks for module in network.modules())


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__

"""What users put into a base model: LoRA adapters, and another autoencoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL

from faceid_cli.backbone.finite import check_finite_file
from faceid_cli.backbone.lora import merge_lora
from faceid_cli.backbone.memory import is_out_of_memory
from faceid_cli.backbone.single_file import vae_from_file
from faceid_cli.errors import ModelError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files.components import check_sizes
from faceid_cli.model_files.families import COMPONENTS, canonical_name
from faceid_cli.model_files.folder import read_json, vae_folder, variant_of, weight_files
from faceid_cli.model_files.lora import check_lora, parse_lora
from faceid_cli.model_files.weight_file import open_weight_file
from faceid_cli.orders.checks import user_path

_CHUNK_BYTES = 1 << 22
_UNHEARD = ("text_projection.", "vision_model.", "visual_projection.", "logit_scale")


def load_vae(source: str, dtype: torch.dtype, family: str) -> tuple[Any, tuple[str, ...]]:
    """Load an autoencoder: a file, a folder of one, or a model's folder with one in it.

    Returns:
        The autoencoder, and what is worth telling the user about it.

    Raises:
        ModelNotFoundError: Nothing there.
        UnsupportedModelError: An autoencoder of another kind, or only pickles.
        ModelError: It cannot be used.
    """
    path = user_path(source)
    with reading(path, ModelError, "copy or download it again", "the VAE in", "cannot be loaded", is_out_of_memory):
        return (vae_from_file(path, dtype, family), ()) if path.is_file() else _vae_from_folder(path, dtype, family)


def _vae_from_folder(path: Path, dtype: torch.dtype, family: str) -> tuple[Any, tuple[str, ...]]:
    folder = vae_folder(path)
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(f"no VAE at {path}", "give a .safetensors file, or a folder with a config.json")
    config = read_json(folder / "config.json")
    check_sizes(folder / "config.json", config)
    kind = config.get("_class_name", "AutoencoderKL")
    if kind != "AutoencoderKL":
        raise UnsupportedModelError(
            f"the VAE in {folder} is of another kind ({kind})", "give an autoencoder for Stable Diffusion: --vae PATH"
        )
    files = weight_files(folder, COMPONENTS[family]["vae"])
    vae = AutoencoderKL.from_pretrained(
        folder,
        torch_dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        variant=variant_of(files[0], COMPONENTS[family]["vae"]),
    )
    return vae, check_complete(vae, "vae", files)


def check_complete(network: Any, component: str, files: Sequence[Path]) -> tuple[str, ...]:
    """Check that weight files hold every weight of a network; the libraries would make up what is missing.

    Returns:
        What is worth telling the user: weights that the network has no place for, which the libraries leave out.

    Raises:
        ModelError: They do not.
    """
    found = {canonical_name(component, name): name for file in files for name in open_weight_file(file).tensors}
    wanted = {canonical_name(component, name): name for name in network.state_dict()}
    for known, name in wanted.items():
        if known is not None and known not in found:
            raise ModelError(f"{files[0].parent} is incomplete: {name} is missing", "copy or download it again")
    left = [name for known, name in found.items() if known is not None and known not in wanted]
    if component.startswith("text_encoder"):  # what else a CLIP model has is not heard when it reads a prompt
        left = [name for name in left if not name.startswith(_UNHEARD)]
    if not left:
        return ()
    names = ", ".join(sorted(left)[:3]) + (", ..." if len(left) > 3 else "")
    return (f"{len(left)} weights in {files[0].parent} have no place in the network and are left out: {names}",)


def add_loras(pipeline: Any, loras: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Merge LoRA adapters into a pipeline's weights.

    They are merged, not kept beside: the attention hooks then see plain layers, and rendering costs nothing more.

    Returns:
        One line on each, and what is worth telling the user about them.

    Raises:
        ModelNotFoundError: No such file.
        UnsupportedModelError: Made for another family, not a LoRA, or a pickle.
        NotFiniteError: NaN or infinity in it.
        ModelError: Damaged.
    """
    parsed = [parse_lora(text) for text in loras]
    for path, _ in parsed:
        check_lora(path, int(pipeline.unet.config.cross_attention_dim))
        check_finite_file(path, f"the LoRA {path}", "download it again, or leave it out")
    notes = [note for path, scale in parsed for note in merge_lora(pipeline, path, scale)]
    lines = tuple(f"lora {path.name} {hash_of_file(path)} {scale:g}" for path, scale in parsed)
    return lines, tuple(dict.fromkeys(notes))


def hash_of_file(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()[:16]

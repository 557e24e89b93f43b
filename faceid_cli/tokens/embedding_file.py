"""Textual-inversion files of others, as words of a prompt.

Programs write the same vectors under different names: one tensor under any name (often "emb_params"), or for Stable
Diffusion XL one for each text encoder ("clip_l" and "clip_g"). Older files are pickles, which torch's restricted reader
reads without running anything in them. Shapes: N vectors, D width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.backbone.finite import check_finite
from faceid_cli.errors import ModelError, ModelMismatchError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.model_files.weight_file import PICKLES, read_pickle
from faceid_cli.types import IdentityTokens


def read_embedding(path: Path, base: BaseModel) -> IdentityTokens:
    """Read a textual-inversion file for a base model: one stage, keys and values alike.

    Raises:
        ModelNotFoundError: No such file.
        UnsupportedModelError: A pickle that could run code, or a file of another kind.
        ModelMismatchError: Made for text encoders of another width.
        NotFiniteError: NaN or infinity in it.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"no embedding at {path}", "check the spelling; FILE or FILE:WORD")
    tensors = _tensors(path)
    vectors = _by_encoder(path, tensors, base)
    check_finite(vectors, f"the embedding {path}", "download it again, or leave it out")
    for encoder in base.encoders:
        width = vectors[encoder.name].shape[-1]
        if width != encoder.width:
            raise ModelMismatchError(
                f"{path} has vectors of width {width}, the base model's text encoder has {encoder.width}",
                "use an embedding of the base model's family",
            )
    sides = {name: tensor.float().reshape(1, -1, tensor.shape[-1]) for name, tensor in vectors.items()}
    return IdentityTokens(sides, {name: side.clone() for name, side in sides.items()})


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() in PICKLES:
        return _pickled(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UnsupportedModelError(
            f"{path} is not a safetensors file, or is damaged", "use the .safetensors or .pt file of this embedding"
        ) from error


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        content = read_pickle(path)
    except ModelError as error:
        raise UnsupportedModelError(
            f"{path} holds more than vectors, or is damaged: it could run code, and is not loaded",
            "use the .safetensors file of this embedding",
        ) from error
    if isinstance(content, dict):  # AUTOMATIC1111 keeps the vectors beside the name and the steps of their training
        content = content.get("string_to_param", content)
    if not isinstance(content, dict):
        return {}
    return {str(name): value.detach() for name, value in content.items() if isinstance(value, Tensor)}


def _by_encoder(path: Path, tensors: dict[str, Tensor], base: BaseModel) -> dict[str, Tensor]:
    wanted = [encoder.name for encoder in base.encoders]
    if "clip_l" in tensors and "clip_g" in tensors:
        found = {"text_encoder": tensors["clip_l"], "text_encoder_2": tensors["clip_g"]}
    elif tensors.get("emb_params", torch.empty(0)).ndim == 2:  # whatever a program keeps beside it
        found = {"text_encoder": tensors["emb_params"]}
    elif len(tensors) == 1 and next(iter(tensors.values())).ndim in (1, 2):
        found = {"text_encoder": next(iter(tensors.values()))}
    else:
        raise UnsupportedModelError(
            f"{path} is not a textual-inversion file", "one holds a single tensor, or clip_l and clip_g"
        )
    if sorted(found) != sorted(wanted):
        raise ModelMismatchError(
            f"{path} is for {len(found)} text encoders, the base model has {len(wanted)}",
            "use an embedding of the base model's family",
        )
    if any(tensor.ndim not in (1, 2) or not tensor.numel() for tensor in found.values()):
        raise UnsupportedModelError(f"{path} is not a textual-inversion file", "its tensors are no rows of vectors")
    if len({tuple(torch.atleast_2d(tensor).shape[:1]) for tensor in found.values()}) > 1:
        raise UnsupportedModelError(f"{path} has different numbers of vectors for its text encoders", "it is damaged")
    return found

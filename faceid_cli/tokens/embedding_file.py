"""Textual-inversion files of others, as words of a prompt.

Programs write the same vectors under different names: one tensor under any name (often "emb_params"), or for Stable
Diffusion XL one for each text encoder ("clip_l" and "clip_g"). Shapes: N vectors, D width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import ModelMismatchError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.types import IdentityTokens


def read_embedding(path: Path, base: BaseModel) -> IdentityTokens:
    """Read a textual-inversion file for a base model: one stage, keys and values alike.

    Raises:
        ModelNotFoundError: No such file.
        UnsupportedModelError: A pickle, or a file of another kind.
        ModelMismatchError: Made for text encoders of another width.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"no embedding at {path}", "check the spelling; FILE or FILE:WORD")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UnsupportedModelError(
            f"{path} is not a safetensors file; pickles can run code and are never loaded",
            "use the .safetensors file of this embedding",
        ) from error
    vectors = _by_encoder(path, tensors, base)
    for encoder in base.encoders:
        width = vectors[encoder.name].shape[-1]
        if width != encoder.width:
            raise ModelMismatchError(
                f"{path} has vectors of width {width}, the base model's text encoder has {encoder.width}",
                "use an embedding of the base model's family",
            )
    sides = {name: tensor.float().reshape(1, -1, tensor.shape[-1]) for name, tensor in vectors.items()}
    return IdentityTokens(sides, {name: side.clone() for name, side in sides.items()})


def _by_encoder(path: Path, tensors: dict[str, Tensor], base: BaseModel) -> dict[str, Tensor]:
    wanted = [encoder.name for encoder in base.encoders]
    if "clip_l" in tensors and "clip_g" in tensors:
        found = {"text_encoder": tensors["clip_l"], "text_encoder_2": tensors["clip_g"]}
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
    if len({tuple(torch.atleast_2d(tensor).shape[:1]) for tensor in found.values()}) > 1:
        raise UnsupportedModelError(f"{path} has different numbers of vectors for its text encoders", "it is damaged")
    return found

"""Textual-inversion files of others, as words of a prompt.

Programs write the same vectors under different names: one tensor under any name (often "emb_params"), or for Stable
Diffusion XL one for each text encoder: in one file ("clip_l" and "clip_g"), or, as diffusers' own script does, in two
files side by side ("learned_embeds" and "learned_embeds_2"). Older files are pickles, which torch's restricted reader
reads without running anything in them. Shapes: N vectors, D width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.backbone.finite import check_finite
from faceid_cli.backbone.memory import is_out_of_memory
from faceid_cli.errors import ModelError, ModelMismatchError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files.weight_file import PICKLES, check_pickled, check_tensor, open_weight_file, read_pickle
from faceid_cli.types import IdentityTokens

_AGAIN = "download it again, or leave it out"
# How the names of two files differ that belong together: of the first text encoder, and of the second.
_PAIRS = (("", "_2"), ("_1", "_2"), ("_clip_l", "_clip_g"), ("-clip_l", "-clip_g"), (".clip_l", ".clip_g"))


def read_embedding(path: Path, base: BaseModel) -> IdentityTokens:
    """Read a textual-inversion file for a base model: one stage, keys and values alike.

    Args:
        path: A file; of two that belong together, either; or the folder that they are in.
        base: Whose text encoders they are for.

    Raises:
        ModelNotFoundError: No such file.
        UnsupportedModelError: A pickle that could run code, or a file of another kind.
        ModelMismatchError: Made for text encoders of another width.
        NotFiniteError: NaN or infinity in it.
    """
    return embedding_for(path, _widths(base))


def embedding_for(path: Path, widths: Mapping[str, int]) -> IdentityTokens:
    """The same for a base model that need not be loaded.

    Args:
        path: As of `read_embedding`.
        widths: Of the token embeddings, by the text encoder's name.
    """
    with reading(path, UnsupportedModelError, _AGAIN, "the embedding", passes=is_out_of_memory):
        return _read(path, widths)


def _widths(base: BaseModel) -> dict[str, int]:
    return {encoder.name: encoder.width for encoder in base.encoders}


def _read(path: Path, widths: Mapping[str, int]) -> IdentityTokens:
    files = _files(path, len(widths))
    vectors = _by_encoder(files, widths)
    path = files[0]
    check_finite(vectors, f"the embedding {path}", _AGAIN)
    for name, wanted in widths.items():
        width = vectors[name].shape[-1]
        if width != wanted:
            raise ModelMismatchError(
                f"{path} has vectors of width {width}, the base model's text encoder has {wanted}",
                "use an embedding of the base model's family",
            )
    sides = {name: tensor.float().reshape(1, -1, tensor.shape[-1]) for name, tensor in vectors.items()}
    return IdentityTokens(sides, {name: side.clone() for name, side in sides.items()})


def files_of_embedding(path: Path, base: BaseModel) -> list[Path]:
    """Return the files of an embedding, that of the first text encoder first: one, or two that belong together.

    Arguments and errors are those of `read_embedding`.
    """
    with reading(path, UnsupportedModelError, _AGAIN, "the embedding"):
        return _files(path, len(base.encoders))


def _files(path: Path, encoders: int) -> list[Path]:
    if path.is_dir():
        path = _in_folder(path)
    if not path.is_file():
        raise ModelNotFoundError(f"no embedding at {path}", "check the spelling; FILE or FILE:WORD")
    is_half = encoders > 1 and not {"clip_l", "clip_g"} <= set(_tensors(path))
    return _pair(path) if is_half else [path]


def _pair(path: Path) -> list[Path]:
    """A file for one text encoder and that for the other, if there is one; which is which, their names say."""
    for first, second in _PAIRS:
        for mark, other in ((second, first), (first, second)):  # the second first: a name without a mark has "", too
            found = re.fullmatch(rf"(.+?){re.escape(mark)}(-steps-\d+)?", path.stem)
            if not found:
                continue
            name = f"{found[1]}{other}{found[2] or ''}"
            files = [path.with_name(name + end) for end in (path.suffix, ".safetensors", *PICKLES)]
            beside = next((file for file in files if file.is_file()), None)
            if beside is not None:
                return [beside, path] if mark == second else [path, beside]
    return [path]


def _in_folder(folder: Path) -> Path:
    """The one embedding of a folder as diffusers' scripts leave it: the last, beside those of earlier steps."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".safetensors", *PICKLES))
    for file in files:
        if file.stem == "learned_embeds":
            return file
    steps = {int(found[1]): file for file in files if (found := re.fullmatch(r"learned_embeds-steps-(\d+)", file.stem))}
    if steps:
        return steps[max(steps)]
    if not files or any(file not in _pair(files[0]) for file in files):
        raise ModelNotFoundError(
            f"{folder} holds {len(files) or 'no'} embeddings, not one", "give the file: FILE or FILE:WORD"
        )
    return files[0]


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() in PICKLES:
        return _pickled(path)
    try:
        open_weight_file(path)
        return load_file(path)
    except (SafetensorError, OSError, ModelError) as error:
        reason = f": {error.message}" if isinstance(error, ModelError) else ""
        raise UnsupportedModelError(
            f"{path} is not a safetensors file, or is damaged{reason}",
            "use the .safetensors or .pt file of this embedding",
        ) from error


def _pickled(path: Path) -> dict[str, Tensor]:
    check_pickled(path)
    try:
        content = read_pickle(path)
    except ModelError as error:
        raise UnsupportedModelError(
            f"{path} holds more than vectors, or is damaged: it could run code, and is not loaded",
            "use the .safetensors file of this embedding",
        ) from error
    if isinstance(content, Tensor):  # as the very first scripts saved it
        content = {"": content}
    if isinstance(content, dict):  # AUTOMATIC1111 keeps the vectors beside the name and the steps of their training
        content = content.get("string_to_param", content)
    if not isinstance(content, dict):
        return {}
    tensors = {str(name): value.detach() for name, value in content.items() if isinstance(value, Tensor)}
    for name, tensor in tensors.items():
        check_tensor(name, tensor)
    return tensors


def _by_encoder(files: list[Path], widths: Mapping[str, int]) -> dict[str, Tensor]:
    wanted = list(widths)
    path, tensors = files[0], _tensors(files[0])
    if "clip_l" in tensors and "clip_g" in tensors:
        found = {"text_encoder": tensors["clip_l"], "text_encoder_2": tensors["clip_g"]}
    else:
        found = {
            name: _only(file, _tensors(file))
            for name, file in zip(("text_encoder", "text_encoder_2"), files, strict=False)
        }
    if sorted(found) != sorted(wanted):
        raise ModelMismatchError(
            f"{path} is for {len(found)} text encoders, the base model has {len(wanted)}",
            "use an embedding of the base model's family"
            + ("; of two files, keep both in one folder, as NAME and NAME_2" if len(found) < len(wanted) else ""),
        )
    if any(tensor.ndim not in (1, 2) or not tensor.numel() for tensor in found.values()):
        raise UnsupportedModelError(f"{path} is not a textual-inversion file", "its tensors are no rows of vectors")
    if len({tuple(torch.atleast_2d(tensor).shape[:1]) for tensor in found.values()}) > 1:
        raise UnsupportedModelError(f"{path} has different numbers of vectors for its text encoders", "it is damaged")
    return found


def _only(path: Path, tensors: dict[str, Tensor]) -> Tensor:
    """The vectors of a file for one text encoder."""
    if tensors.get("emb_params", torch.empty(0)).ndim == 2:  # whatever a program keeps beside it
        return tensors["emb_params"]
    if len(tensors) == 1 and next(iter(tensors.values())).ndim in (1, 2):
        return next(iter(tensors.values()))
    raise UnsupportedModelError(
        f"{path} is not a textual-inversion file", "one holds a single tensor, or clip_l and clip_g"
    )

"""Weight files: what they hold, read without running anything that is in them. No torch for safetensors."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceid_cli.errors import ModelError, UnsupportedModelError

PICKLES = (".ckpt", ".pth", ".pt", ".bin")
_CHUNK_BYTES = 1 << 22
_AGAIN = "copy or download the model again"


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a file: its type in safetensors' words ("F16"), its shape, and where its bytes are."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class WeightFile:
    """A safetensors file's table of contents.

    Attributes:
        path: Where the file is.
        tensors: Type, shape and place of each tensor, by its name in the file.
        metadata: The file's own words.
    """

    path: Path
    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the file's bytes from `start` to `end`."""
        with self.path.open("rb") as file:
            file.seek(start)
            while start < end:
                chunk = file.read(min(_CHUNK_BYTES, end - start))
                start += len(chunk)
                yield chunk


def open_weight_file(path: Path) -> WeightFile:
    """Read a safetensors file's table of contents and check it against the file's size.

    Raises:
        ModelError: Damaged, cut off, or not a safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > size - 8:
                raise ValueError(_what_else(path))
            header: dict[str, Any] = json.loads(file.read(length))
        metadata = header.pop("__metadata__", None) or {}
        last = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if size != 8 + length + last:
            raise ValueError("the file is cut off")
        tensors = {name: _entry(entry, 8 + length) for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"weight file {path} is damaged: {error}", _AGAIN) from error
    return WeightFile(path, tensors, {str(key): str(value) for key, value in metadata.items()})


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of all weights in a `.safetensors` file or a pickle; errors as of the other two readers."""
    if path.suffix.lower() == ".safetensors":
        return {name: entry.shape for name, entry in open_weight_file(path).tensors.items()}
    return {name: tuple(tensor.shape) for name, tensor in read_pickled_weights(path).items()}


def read_pickled_weights(path: Path) -> dict[str, Any]:
    """Read a `.ckpt` file's tensors by torch's restricted reader, which runs no code; name -> tensor, on the CPU.

    Raises:
        UnsupportedModelError: It holds other things than weights.
        ModelError: Damaged.
    """
    import torch

    content = read_pickle(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise UnsupportedModelError(f"{path} holds no weights", "give a Stable Diffusion checkpoint")
    return tensors


def read_pickle(path: Path) -> Any:
    """Read a pickle of tensors, numbers and texts by torch's restricted reader; errors as `read_pickled_weights`."""
    import pickle

    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise UnsupportedModelError(
            f"{path} holds more than weights, or is damaged: it could run code, and is not loaded",
            "use the model's .safetensors file",
        ) from error
    except (RuntimeError, OSError, ValueError, EOFError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"weight file {path} is damaged: {reason}", _AGAIN) from error


def _what_else(path: Path) -> str:
    """What a file is that stands in the place of a download."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; `git lfs pull` fetches the weights"
    if start.startswith((b"<", b"{")):
        return "it is a page or a message of a web site, as downloads without a login are"
    return "the header is longer than the file"


def _entry(entry: dict[str, Any], base: int) -> TensorEntry:
    start, end = entry["data_offsets"]
    return TensorEntry(str(entry["dtype"]), tuple(entry["shape"]), base + start, base + end)

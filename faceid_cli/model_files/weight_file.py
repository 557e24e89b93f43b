"""Weight files: what they hold, read without running anything that is in them. No torch for safetensors."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.kept.foreign import header_size, open_file, parse_json, reading
from faceid_cli.orders.checks import is_text

PICKLES = (".ckpt", ".pth", ".pt", ".bin")
_CHUNK_BYTES = 1 << 22
_AGAIN = "copy or download the model again"
_LARGEST, _MOST_AXES = 2**62, 16
_MOST_TABLE_BYTES, _MOST_PICKLE_BYTES = 16 * 2**20, 64 * 2**20
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 8),
}
"""Of one number, by safetensors' word for its type; rarer types are left to safetensors' own reader."""
_PICKLE_MAGIC = (b"PK", b"\x80")
_MAGIC = {
    b"PK": "a PyTorch file (.ckpt, .pt) or another ZIP archive",
    b"\x80": "a pickle (.ckpt, .pt)",
    b"GGUF": "a GGUF file of quantised weights",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x89HDF": "an HDF5 file",
}


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
                if not chunk:
                    raise ModelError(f"weight file {self.path} is damaged: it has become shorter", _AGAIN)
                start += len(chunk)
                yield chunk


def open_weight_file(path: Path) -> WeightFile:
    """Read a safetensors file's table of contents and check it against the file's size.

    Raises:
        ModelError: Damaged, cut off, or not a safetensors file; the message says which.
    """
    with reading(path, ModelError, _AGAIN, "weight file"):
        size = path.stat().st_size
        with open_file(path) as file:
            if not 0 < int.from_bytes(file.read(8), "little") <= size - 8:
                raise ValueError(_what_else(path))
            file.seek(0)
            length = header_size(file)
            header = _header(file.read(length))
        metadata = _metadata(header.pop("__metadata__", None))
        tensors = {name: _entry(name, entry, 8 + length) for name, entry in header.items()}
        _check_places(tensors, 8 + length, size)
    return WeightFile(path, tensors, metadata)


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
    with reading(path, ModelError, _AGAIN, "weight file"):
        state = content.get("state_dict", content) if isinstance(content, dict) else {}
        state = state if isinstance(state, dict) else {}
        tensors = {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}
        for name, tensor in tensors.items():
            check_tensor(name, tensor)
    if not tensors:
        held = "a single tensor without a name" if isinstance(content, torch.Tensor) else "no weights"
        raise UnsupportedModelError(f"{path} holds {held}", "give a file with a model's weights by their names")
    return tensors


def check_tensor(name: str, tensor: Any) -> None:
    """Check that a tensor is a plain one, whose numbers are all in the file; others can claim to be of any size.

    Raises:
        ValueError: It is not.
    """
    import torch

    is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout == torch.strided
    if not is_plain or tensor.device.type != "cpu" or tensor.is_quantized:
        raise ValueError(f"{name[:100]!r} is no plain tensor")
    if not is_text(name) or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise ValueError(f"{name[:100]!r} claims to be larger than what is in the file")


def read_pickle(path: Path) -> Any:
    """Read a pickle of tensors, numbers and texts by torch's restricted reader; errors as `read_pickled_weights`."""
    import pickle

    import torch

    check_pickled(path)
    with reading(path, ModelError, _AGAIN, "weight file"):
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except pickle.UnpicklingError as error:
            raise UnsupportedModelError(
                f"{path} holds more than weights, or is damaged: it could run code, and is not loaded",
                "use the model's .safetensors file",
            ) from error


def check_pickled(path: Path) -> None:
    """Check that a file with a pickle's name begins like one, so that no other file is taken for one with code.

    Raises:
        UnsupportedModelError: It is a safetensors file, or of another known kind.
        ModelError: It is what web sites send in the place of a download, or empty.
    """
    with reading(path, ModelError, _AGAIN, "weight file"):
        _check_pickled(path)


def _check_pickled(path: Path) -> None:
    with open_file(path) as file:
        start = file.read(64)
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and length <= path.stat().st_size - 8:
        new = path.with_suffix(".safetensors").name
        raise UnsupportedModelError(f"{path} is a safetensors file with another ending", f"rename it to {new}")
    if not start:
        raise ModelError(f"weight file {path} is damaged: it is empty", _AGAIN)
    if not any(start):
        raise ModelError(f"weight file {path} is damaged: {_what_else(path)}", _AGAIN)
    kind = _sent_instead(start)
    if kind:
        raise ModelError(f"weight file {path} is damaged: {kind}", _AGAIN)
    for magic, name in _MAGIC.items():
        if start.startswith(magic) and magic not in _PICKLE_MAGIC:
            raise UnsupportedModelError(f"{path} is {name}", "use the model's .safetensors file")
    if zipfile.is_zipfile(path):
        names = _names_in_archive(path)
        if any(name.endswith("constants.pkl") for name in names):
            raise UnsupportedModelError(
                f"{path} is a program (TorchScript), and is not loaded", "use the model's .safetensors file"
            )
        if not any(name.endswith("data.pkl") for name in names):
            raise UnsupportedModelError(f"{path} is a ZIP archive", "unpack it, and give the file in it")


def _names_in_archive(path: Path) -> list[str]:
    """Return what is in a ZIP archive, which has to be as torch writes them: what is packed can unpack to anything.

    Raises:
        ModelError: Another kind, or a damaged one.
    """
    with reading(path, ModelError, _AGAIN, "weight file"):
        if _table_size(path) > _MOST_TABLE_BYTES:
            raise ValueError("its table of contents is too large")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
        if any(entry.file_size != entry.compress_size for entry in pickles):
            raise ValueError("it is packed")
        if sum(entry.file_size for entry in pickles) > _MOST_PICKLE_BYTES:
            raise ValueError("its list of weights is too large")
        return [entry.filename for entry in entries]


def _table_size(path: Path) -> int:
    """Bytes of a ZIP archive's table of contents, which is read as a whole; stated in the archive's last record."""
    with open_file(path) as file:
        file.seek(max(path.stat().st_size - (1 << 16) - 22, 0))
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    size = int.from_bytes(end[place + 12 : place + 16], "little")
    if size == 0xFFFFFFFF and (large := end.rfind(b"PK\x06\x06")) >= 0:  # more than four gigabytes
        size = int.from_bytes(end[large + 40 : large + 48], "little")
    return size


def _what_else(path: Path) -> str:
    """What a file is that stands in the place of safetensors."""
    with path.open("rb") as file:
        start = file.read(64)
    if start and not any(start):
        return "it holds only zeros, as downloads do that were never finished"
    for magic, name in _MAGIC.items():
        if start.startswith(magic):
            return f"it is {name}, with another ending"
    return _sent_instead(start) or "the header is longer than the file"


def _sent_instead(start: bytes) -> str:
    """What was sent in the place of a download, by its first bytes; empty if it is nothing of the kind."""
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; `git lfs pull` fetches the weights"
    if start.startswith((b"<", b"{")):
        return "it is a page or a message of a web site, as downloads without a login are"
    return ""


def _header(content: bytes) -> dict[str, Any]:
    try:
        header = parse_json(content)
    except ValueError as error:
        raise ValueError("its list of tensors cannot be read") from error
    if not isinstance(header, dict):
        raise ValueError("its list of tensors cannot be read")
    return header


def _metadata(content: Any) -> dict[str, str]:
    """The file's own words; safetensors' own readers take nothing but texts, so that it cannot be loaded otherwise."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError("its metadata is no table of texts")
    for key, value in content.items():
        if not isinstance(value, str):
            raise ValueError(f"its metadata has {json.dumps(value)[:40]} for {key!r}, where only texts may stand")
    return dict(content)


def _entry(name: str, entry: Any, base: int) -> TensorEntry:
    if not is_text(name):
        raise ValueError("the name of a tensor is not text")
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise ValueError(f"its list of tensors cannot be read: {name[:100]!r}")
    dtype, shape, places = entry["dtype"], entry["shape"], entry["data_offsets"]
    for numbers in (shape, places):
        if not isinstance(numbers, list) or not all(type(each) is int and 0 <= each < _LARGEST for each in numbers):
            raise ValueError(f"sizes or places of {name[:100]!r} are no whole numbers")
    if len(places) != 2 or len(shape) > _MOST_AXES or not isinstance(dtype, str):
        raise ValueError(f"its list of tensors cannot be read: {name[:100]!r}")
    bits = _BITS.get(dtype)
    if bits is not None and math.prod(shape) * bits != 8 * (places[1] - places[0]):
        raise ValueError(f"{name[:100]!r} has {places[1] - places[0]} bytes, which is not what its shape takes")
    return TensorEntry(dtype, tuple(shape), base + places[0], base + places[1])


def _check_places(tensors: Mapping[str, TensorEntry], begin: int, size: int) -> None:
    """Check that the tensors lie one behind the other and fill the file.

    Raises:
        ValueError: They do not.
    """
    for entry in sorted(tensors.values(), key=lambda each: (each.start, each.end)):
        if entry.start != begin or entry.end < begin:
            raise ValueError("its tensors overlap, or leave gaps")
        begin = entry.end
    if size < begin:
        raise ValueError("the file is cut off")
    if size > begin:
        raise ValueError(f"{size - begin} bytes that belong to no tensor follow behind the last one")

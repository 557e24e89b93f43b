"""Fingerprints of base models: family and hash of the weights, the same for a folder and for one file of all parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

from faceid_cli.errors import ModelError
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files.families import COMPONENTS, canonical_name
from faceid_cli.model_files.file_hashes import sha256_of
from faceid_cli.model_files.folder import AGAIN, check_model_folder, family_of_folder, weight_files
from faceid_cli.model_files.layout import Piece
from faceid_cli.model_files.recalled import Reading, recalled
from faceid_cli.model_files.single_file import SingleFile, read_single_file
from faceid_cli.model_files.source import model_path
from faceid_cli.model_files.weight_file import WeightFile, open_weight_file, read_pickled_weights

_TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64"}


def fingerprint_of(source: str, variant: str | None = None) -> str:
    """Return the fingerprint of a base model: its family, ":" and 16 hexadecimal digits of a SHA-256.

    It covers names, types, shapes and bytes of all weights of UNet, text encoders and VAE, whatever order the files
    hold them in, and in whichever layout. The result is remembered by path, size and time of the files, so a second
    call reads no weights.

    Raises:
        ModelNotFoundError, UnsupportedModelError: As `check_model`.
        ModelError: A weight file is damaged.
    """
    path = model_path(source, variant)
    with reading(path, ModelError, AGAIN):
        return _fingerprint_of(path, variant)


def files_of(path: Path, variant: str | None = None) -> list[Path]:
    """The files that a base model's weights are in, and what says how a single file is to be read.

    Raises:
        ModelNotFoundError, UnsupportedModelError, ModelError: As `check_model`.
    """
    if path.is_file():
        return [path, *([path.with_suffix(".yaml")] if path.with_suffix(".yaml").is_file() else [])]
    family = check_model_folder(path, variant)
    return [file for part, name in COMPONENTS[family].items() for file in weight_files(path / part, name, variant)]


def _fingerprint_of(path: Path, variant: str | None) -> str:
    files = files_of(path, variant)
    if path.is_file():
        return recalled(files, lambda progress: _fingerprint_of_file(path, progress))
    return recalled(files, lambda progress: _fingerprint(path, variant, progress))


def family_of_fingerprint(fingerprint: str) -> str:
    """Return the family that a fingerprint names; empty where it names none."""
    family, colon, _ = fingerprint.partition(":")
    return family if colon and family in COMPONENTS else ""


def _fingerprint(folder: Path, variant: str | None, progress: Reading) -> str:
    digest, family = hashlib.sha256(), family_of_folder(folder)
    for component, name in COMPONENTS[family].items():
        digest.update(component.encode())
        entries: list[tuple[str, WeightFile, str]] = []
        for path in weight_files(folder / component, name, variant):
            file = open_weight_file(path)
            for key in file.tensors:
                known = canonical_name(component, key)
                if known is not None:
                    entries.append((known, file, key))
        for known, file, key in sorted(entries, key=lambda item: item[0]):
            entry = file.tensors[key]
            digest.update(f"{known} {entry.dtype} {list(entry.shape)}".encode())
            for chunk in file.chunks(entry.start, entry.end):
                digest.update(chunk)
                progress.read(len(chunk))
    return f"{family}:{digest.hexdigest()[:16]}"


def _fingerprint_of_file(path: Path, progress: Reading) -> str:
    single = read_single_file(path)
    reader = _SafetensorsReader(path) if path.suffix.lower() == ".safetensors" else _PickleReader(path)
    # What is wrong with the file shows here, before anything of it is read for long.
    parts = {component: _described_pieces(single, component, reader) for component in COMPONENTS[single.family]}
    # A picture tells the file's own digest, too: two in one go take the time of one.
    aside = Thread(target=_work_digest_out, args=(path,), daemon=True)
    aside.start()
    digest = hashlib.sha256()
    for component, pieces in parts.items():
        digest.update(component.encode())
        for described, piece in pieces:
            digest.update(described.encode())
            for chunk in reader.chunks(piece):
                digest.update(chunk)
                progress.read(len(chunk))
    aside.join()
    return f"{single.family}:{digest.hexdigest()[:16]}"


def _work_digest_out(path: Path) -> None:
    with suppress(ModelError):  # who wants it meets the same, and tells
        sha256_of(path)


def _described_pieces(
    single: SingleFile, component: str, reader: _SafetensorsReader | _PickleReader
) -> list[tuple[str, Piece]]:
    """The pieces of a component in the order of their names, each with what there is to say of it."""
    found = []
    for name, piece in _sorted_pieces(single, component):
        dtype, shape = reader.described(piece)
        found.append((f"{name} {dtype} {shape}", piece))
    return found


def _sorted_pieces(single: SingleFile, component: str) -> list[tuple[str, Piece]]:
    named = [(canonical_name(component, name), piece) for name, piece in single.pieces.get(component, {}).items()]
    return sorted(((name, piece) for name, piece in named if name is not None), key=lambda item: item[0])


class _SafetensorsReader:
    """A piece's type, shape and bytes, as if it stood in a file of its own."""

    def __init__(self, path: Path) -> None:
        self.file = open_weight_file(path)

    def described(self, piece: Piece) -> tuple[str, list[int]]:
        entry = self.file.tensors[piece.key]
        return entry.dtype, _shape(piece, entry.shape)

    def chunks(self, piece: Piece) -> Iterator[bytes]:
        entry = self.file.tensors[piece.key]
        start, end = entry.start, entry.end
        if piece.third is not None:
            third = (end - start) // 3
            start, end = start + piece.third * third, start + (piece.third + 1) * third
        if not piece.transposed:
            yield from self.file.chunks(start, end)
            return
        import numpy as np

        rows, columns = entry.shape
        cells = np.frombuffer(b"".join(self.file.chunks(start, end)), dtype=np.uint8).reshape(rows, columns, -1)
        yield np.ascontiguousarray(cells.transpose(1, 0, 2)).tobytes()


class _PickleReader:
    """The same for a `.ckpt` file."""

    def __init__(self, path: Path) -> None:
        self.tensors = read_pickled_weights(path)

    def described(self, piece: Piece) -> tuple[str, list[int]]:
        tensor = self.tensors[piece.key]
        kind = str(tensor.dtype).removeprefix("torch.")
        return _TYPES.get(kind, kind), _shape(piece, tuple(tensor.shape))

    def chunks(self, piece: Piece) -> Iterator[bytes]:
        import torch

        tensor = self.tensors[piece.key]
        if piece.third is not None:
            tensor = tensor.chunk(3)[piece.third]
        if piece.transposed:
            tensor = tensor.t()
        yield tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _shape(piece: Piece, shape: tuple[int, ...]) -> list[int]:
    if piece.third is not None:
        return [shape[0] // 3, *shape[1:]]
    if piece.transposed:
        return [shape[1], shape[0]]
    return list(shape[:2]) if piece.squeezed else list(shape)

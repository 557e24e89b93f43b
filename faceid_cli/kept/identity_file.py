"""An identity on disk: one safetensors file with the features and what they belong to. Needs no torch.

Tensors are named "<text encoder>.keys" and "<text encoder>.values" (P^K and P^V of paper section 3.2), each float32
(S, N, D). All metadata is JSON under the single key "faceid", because that alone makes equal identities equal files.
There is no date and no random id inside for the same reason; the registry keeps those. docs/format.md describes the
file for readers of others.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from faceid_cli.errors import IdentityFileError
from faceid_cli.kept.files import write_atomically
from faceid_cli.kept.foreign import header_size, open_file, parse_json, reading, reason_of
from faceid_cli.kept.identity_schema import stored_identity

FORMAT = "faceid-identity"
VERSION = 1
STAGE_ORDER = "noisiest-first"
_METADATA_KEY = "faceid"
_MAX_BYTES = 256 * 2**20
_TIMESTEPS = 1000  # of files that do not say
_MOST_TIMESTEPS = 10**6
_AGAIN = "copy or export the identity again"


@dataclass(frozen=True)
class IdentityMetadata:
    """What an identity file says about itself.

    Attributes:
        name: The name it was saved under.
        class_word: What the person is to the text encoder, and in the reference prompt.
        base_model: Source of the base model it was learned on.
        base_fingerprint: Fingerprint of that model's weights.
        method: Settings of the training.
        photo_hashes: SHA-256 of the photos it was learned from.
        note: The user's words.
        extra: Whatever else belongs to it, JSON values by name (for instance scores).
        num_train_timesteps: Timesteps of the base model's noise schedule, which the stages divide.
    """

    name: str
    class_word: str
    base_model: str
    base_fingerprint: str
    method: dict[str, Any] = field(default_factory=dict)
    photo_hashes: tuple[str, ...] = ()
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    num_train_timesteps: int = _TIMESTEPS


@dataclass(frozen=True)
class IdentityFile:
    """A loaded identity file.

    Attributes:
        keys: P^K per text encoder name, float32 (S, N, D).
        values: P^V, same layout.
        metadata: What it belongs to.
    """

    keys: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    metadata: IdentityMetadata

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that stand for the features: another name, note or machine makes no other ones."""
        digest = hashlib.sha256()
        for side in (self.keys, self.values):
            for name, array in sorted(side.items()):
                digest.update(f"{name} {list(array.shape)}".encode())
                digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()[:16]


def save_identity(
    path: Path, keys: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray], metadata: IdentityMetadata
) -> None:
    """Write an identity file: whole or not at all.

    Raises:
        IdentityFileError: Features that no identity can have (shapes, types, not finite).
        OutputError: It cannot be written there.
    """
    write_atomically(path, identity_bytes(keys, values, metadata))


def identity_bytes(
    keys: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray], metadata: IdentityMetadata
) -> bytes:
    """Return the content of an identity file. Equal identities give equal bytes.

    Raises:
        IdentityFileError: As `save_identity`.
    """
    problem = _problem_of(keys, values)
    if problem:
        raise IdentityFileError(f"cannot save this identity: {problem}")
    tensors = {f"{name}.keys": np.ascontiguousarray(array) for name, array in sorted(keys.items())}
    tensors |= {f"{name}.values": np.ascontiguousarray(array) for name, array in sorted(values.items())}
    said = asdict(metadata)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "stage_order": STAGE_ORDER,
        "num_train_timesteps": said.pop("num_train_timesteps"),
        "identity": said,
    }
    content: bytes = save(tensors, {_METADATA_KEY: json.dumps(header, sort_keys=True)})
    return content


def load_identity(path: Path) -> IdentityFile:
    """Read and check an identity file. Pickles and other files are refused, never run.

    Raises:
        IdentityFileError: No such file, not an identity, damaged, or written by a newer faceid.
    """
    content = _safetensors_content(path)
    with reading(path, IdentityFileError, _AGAIN):
        listed = parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
        header = _header(path, listed.get("__metadata__"))
        keys, values = _sides(path, dict(sorted(load(content).items())))
        problem = _problem_of(keys, values)
        if problem:
            raise IdentityFileError(f"{path} is damaged: {problem}", _AGAIN)
        return IdentityFile(keys, values, _metadata(path, header))


def has_identity(path: Path) -> bool:
    """Whether a safetensors file says that it is an identity, sound or not; also where it is no safetensors file."""
    try:
        with open_file(path) as file:
            length = header_size(file)
            header = parse_json(file.read(length))
        return _METADATA_KEY in header.get("__metadata__", {})
    except (OSError, ValueError, AttributeError, TypeError):
        return True  # `load_identity` says what is wrong with it


def _safetensors_content(path: Path) -> bytes:
    """All bytes of what is a safetensors file at the first look."""
    try:
        with open_file(path) as file:
            start, size = file.read(16), os.fstat(file.fileno()).st_size
            file.seek(0)
            # A header of 128, 384, 640, ... bytes begins with the byte that pickles begin with: look for it first.
            if start[8:9] != b"{" and start.startswith((b"PK\x03\x04", b"\x80")):
                raise IdentityFileError(
                    f"{path} is a pickle, which can run code and is never loaded", "ask for the .safetensors file"
                )
            if size < 8 or start[8:9] != b"{" or size > _MAX_BYTES:
                raise IdentityFileError(
                    f"{path} is not a safetensors file", "faceid writes identities with `faceid export`"
                )
            header_size(file)
            file.seek(0)
            return file.read(size)
    except OSError as error:
        raise IdentityFileError(
            f"cannot read {path}: {reason_of(error)}", "check the path; `faceid doctor` tells who lacks a file"
        ) from error
    except ValueError as error:
        raise IdentityFileError(f"{path} is damaged: {error}", _AGAIN) from error


def _header(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    try:
        header = parse_json((metadata or {})[_METADATA_KEY])
        known = header["format"] == FORMAT
        version, _ = header["version"], header["identity"]
    except (KeyError, ValueError, TypeError) as error:
        raise IdentityFileError(f"{path} has no identity metadata: not a file that faceid exported") from error
    if not known or type(version) is not int or version < 1:
        raise IdentityFileError(f"{path} is not an identity of faceid")
    if version > VERSION:
        raise IdentityFileError(
            f"{path} is of version {version}, this faceid reads up to {VERSION}", "install a newer faceid"
        )
    order, timesteps = header.get("stage_order", STAGE_ORDER), header.get("num_train_timesteps", _TIMESTEPS)
    if order != STAGE_ORDER:
        raise IdentityFileError(f"{path} counts its stages in another way than from the noisiest", _AGAIN)
    if type(timesteps) is not int or not 0 < timesteps <= _MOST_TIMESTEPS:
        raise IdentityFileError(f"{path} has incomplete or wrong identity metadata: num_train_timesteps", _AGAIN)
    return {**header, "num_train_timesteps": timesteps}


def _sides(path: Path, tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    sides: dict[str, dict[str, np.ndarray]] = {"keys": {}, "values": {}}
    for tensor_name, array in tensors.items():
        encoder, _, side = tensor_name.rpartition(".")
        if side not in sides or not encoder:
            raise IdentityFileError(f"{path} holds a tensor {tensor_name!r} that no identity has")
        sides[side][encoder] = array
    return sides["keys"], sides["values"]


def _problem_of(keys: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]) -> str | None:
    """What is wrong with these features, or None."""
    if not keys or set(keys) != set(values):
        return "keys and values are not there for the same text encoders"
    counts = set()
    for name in keys:
        for side, array in (("keys", keys[name]), ("values", values[name])):
            if array.dtype != np.float32 or array.ndim != 3 or 0 in array.shape:
                return f"{name}.{side} is {array.dtype} {array.shape}, not float32 (stages, vectors, width)"
            if not np.isfinite(array).all():
                return f"{name}.{side} holds numbers that are not finite"
        if keys[name].shape != values[name].shape:
            return f"{name}: keys are {keys[name].shape}, values are {values[name].shape}"
        counts.add(keys[name].shape[:2])
    return "its text encoders have different numbers of stages or vectors" if len(counts) > 1 else None


def _metadata(path: Path, header: Mapping[str, Any]) -> IdentityMetadata:
    try:
        found = stored_identity(header["identity"])
    except ValueError as error:
        raise IdentityFileError(f"{path} has incomplete or wrong identity metadata: {error}", _AGAIN) from error
    content: dict[str, Any] = found.model_dump()
    content |= {"photo_hashes": tuple(found.photo_hashes), "num_train_timesteps": header["num_train_timesteps"]}
    return IdentityMetadata(**content)

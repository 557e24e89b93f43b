"""Weights of helper networks for photographs: pinned by SHA-256, kept in paths.weights_dir().

The only module of faceid that downloads anything, and only when `fetch_weights` is called. Needs no torch.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from faceid_cli import paths
from faceid_cli.errors import OutputError, UsageError, WeightsMissingError

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Weights:
    """A file of weights that faceid knows.

    Attributes:
        file_name: Its name in paths.weights_dir().
        sha256: Hex digest of its bytes; any other content is refused.
        source: Where it comes from.
        purpose: What it is for, in a few words.
    """

    file_name: str
    sha256: str
    source: str
    purpose: str


_RELEASE = "https://github.com/xinntao/facexlib/releases/download/v0.1.0"

KNOWN_WEIGHTS = {
    "face-detection": Weights(
        "detection_mobilenet0.25_Final.pth",
        "7c417d4a43c5e2100ef40c2fbd2177d2fd0e5090d8e87c0fa31806cfb895c12f",
        f"{_RELEASE}/detection_mobilenet0.25_Final.pth",
        "finding faces in photographs",
    ),
    "face-recognition": Weights(
        "recognition_arcface_ir_se50.pth",
        "a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
        f"{_RELEASE}/recognition_arcface_ir_se50.pth",
        "comparing faces in photographs",
    ),
}


def local_weights(name: str) -> Path:
    """Return the checked file of the named weights; never downloads.

    Raises:
        UsageError: No weights of that name.
        WeightsMissingError: The file is not there, or its content is not the pinned one.
    """
    weights = _known(name)
    path = paths.weights_dir() / weights.file_name
    if not path.is_file():
        raise WeightsMissingError(
            f"weights for {weights.purpose} are missing: {path}", f"download {weights.source} and put it there"
        )
    found = _sha256(path)
    if found != weights.sha256:
        raise WeightsMissingError(
            f"{path} is not the file it should be (SHA-256 {found[:12]}..., expected {weights.sha256[:12]}...)",
            f"replace it by {weights.source}",
        )
    return path


def fetch_weights(name: str) -> Path:
    """Download the named weights into paths.weights_dir(), unless they are there already, and check them.

    Raises:
        UsageError: No weights of that name.
        WeightsMissingError: The download failed, or its content is not the pinned one; nothing is kept then.
        OutputError: The folder cannot be written.
    """
    weights = _known(name)
    path = paths.weights_dir() / weights.file_name
    if path.is_file() and _sha256(path) == weights.sha256:
        return path
    temporary = path.with_name(f".{weights.file_name}-{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise OutputError(f"cannot write to {path.parent}: {error.strerror}", "check its permissions") from error
    try:
        _download(weights, temporary)
        if _sha256(temporary) != weights.sha256:
            raise WeightsMissingError(f"{weights.source} has other content than expected", "it was not kept")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _known(name: str) -> Weights:
    if name not in KNOWN_WEIGHTS:
        raise UsageError(f"unknown weights {name!r}", f"choose one of: {', '.join(KNOWN_WEIGHTS)}")
    return KNOWN_WEIGHTS[name]


def _download(weights: Weights, target: Path) -> None:
    try:
        with urllib.request.urlopen(weights.source, timeout=_TIMEOUT_S) as answer, open(target, "wb") as file:
            while block := answer.read(_CHUNK_BYTES):
                file.write(block)
    except OSError as error:  # urllib's errors are OSErrors too
        raise WeightsMissingError(
            f"cannot download {weights.source}: {error}",
            f"download it elsewhere and put it at {paths.weights_dir() / weights.file_name}",
        ) from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Digests of model files as web UIs and sites of models know them. Reads files, remembers digests, needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from faceid_cli.errors import ModelError
from faceid_cli.kept.foreign import header_size, open_file
from faceid_cli.model_files.lora import parse_lora
from faceid_cli.model_files.recalled import Reading, recalled

_CHUNK_BYTES = 1 << 22
OF_A_MODEL = 10
"""Digits of a checkpoint's SHA-256 that stand for it ("AutoV2")."""
OF_AN_ADDITION = 12
"""Digits that stand for a LoRA ("AutoV3") or an embedding."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits; read once, then remembered by path, size and time.

    Raises:
        ModelError: It cannot be read.
    """
    return _read(path, 0, ".sha256")


def weights_sha256_of(path: Path) -> str:
    """The SHA-256 of what follows a safetensors file's header, so that other metadata make no other digest.

    Of files of another kind it is that of all bytes, as in the web UI.

    Raises:
        ModelError: It cannot be read.
    """
    if path.suffix.lower() != ".safetensors":
        return sha256_of(path)
    try:
        with open_file(path) as file:
            header = header_size(file)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}", "check the file and its permissions") from error
    return _read(path, 8 + header, ".weights")


def known_hashes(
    base: Path, vae: str | None, loras: Iterable[str], embeddings: Iterable[Path]
) -> tuple[dict[str, str], dict[str, str]]:
    """What stands in a picture for the files that it was made with.

    Args:
        base: The base model. One of the many files in a folder stands for nothing, so a folder has no digest here.
        vae: Another autoencoder's file, or None.
        loras: LoRAs, as FILE:SCALE.
        embeddings: Files of textual inversions.

    Returns:
        Digests by "model", "vae", "lora:NAME" and "embed:NAME"; and those of LoRAs alone, by name.

    Raises:
        ModelError: A file cannot be read.
    """
    hashes = {"model": sha256_of(base)[:OF_A_MODEL]} if base.is_file() else {}
    if vae is not None and Path(vae).is_file():
        hashes["vae"] = sha256_of(Path(vae))[:OF_A_MODEL]
    files = [path for path, _ in map(parse_lora, loras)]
    of_loras = {path.stem: weights_sha256_of(path)[:OF_AN_ADDITION] for path in files}
    hashes |= {f"lora:{name}": digest for name, digest in of_loras.items()}
    return hashes | {f"embed:{path.stem}": sha256_of(path)[:OF_AN_ADDITION] for path in embeddings}, of_loras


def _read(path: Path, start: int, kind: str) -> str:
    def compute(progress: Reading) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            file.seek(start)
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                progress.read(len(chunk))
        return digest.hexdigest()

    try:
        return recalled([path], compute, kind)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}", "check the file and its permissions") from error

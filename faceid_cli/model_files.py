"""The files of a base model on disk: find the folder, check that it is complete, fingerprint its weights. No torch."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from faceid_cli import paths
from faceid_cli.errors import ModelError, ModelNotFoundError, UnsupportedModelError

BUILTIN = "builtin"
WEIGHT_NAMES = {
    "unet": "diffusion_pytorch_model",
    "text_encoder": "model",
    "vae": "diffusion_pytorch_model",
}
SUPPORTED = "supported are Stable Diffusion 1.x models in diffusers' folder layout; other families come later"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_CHUNK_BYTES = 1 << 22
_CONVERT_HINT = "convert it where you trust its origin: diffusers' save_pretrained(folder) writes safetensors"


def model_folder(source: str) -> Path:
    """Return the local folder of a base model.

    Args:
        source: "builtin", a local folder in diffusers' layout, or a hub id ("owner/name"), which is looked up in the
            local cache and, if it is not there, downloaded by diffusers (unless HF_HUB_OFFLINE is set).

    Raises:
        ModelNotFoundError: Nothing there, or the hub cannot be reached.
        UnsupportedModelError: A single checkpoint file.
    """
    if source == BUILTIN:
        return paths.builtin_model_dir()
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise UnsupportedModelError(
            f"{source} is a single file; a base model is a folder",
            f"single checkpoint files come later; {SUPPORTED}",
        )
    if _HUB_ID.fullmatch(source):
        return _hub_folder(source)
    raise ModelNotFoundError(
        f"no base model at {source}", "give a folder in diffusers' layout, a hub id such as owner/name, or builtin"
    )


def check_model_folder(folder: Path) -> None:
    """Check that a folder holds a whole Stable Diffusion pipeline with safetensors weights.

    Raises:
        ModelNotFoundError: Files are missing; the message names the first.
        UnsupportedModelError: Another kind of pipeline, or weights only as pickles.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise ModelNotFoundError(
            f"{folder} is no diffusers model: model_index.json is missing",
            "give the folder that holds model_index.json",
        )
    pipeline_class = str(_read_json(index).get("_class_name"))
    if pipeline_class != "StableDiffusionPipeline":
        raise UnsupportedModelError(f"{folder} is a {pipeline_class}", SUPPORTED)
    for component, weight_name in WEIGHT_NAMES.items():
        _need(folder / component / "config.json")
        _weight_files(folder / component, weight_name)
    _need(folder / "scheduler" / "scheduler_config.json")
    if not (folder / "tokenizer" / "tokenizer.json").is_file():
        _need(folder / "tokenizer" / "vocab.json")
        _need(folder / "tokenizer" / "merges.txt")


def weight_variant(folder: Path) -> str | None:
    """Return "fp16" where the folder holds only the half-precision variant of the UNet's weights, else None."""
    names = [path.name for path in _weight_files(folder / "unet", WEIGHT_NAMES["unet"])]
    return "fp16" if any(".fp16" in name for name in names) else None


def fingerprint_of(source: str) -> str:
    """Return the fingerprint of a base model: "sd1:" and 16 hexadecimal digits of a SHA-256.

    It covers names, types, shapes and bytes of all weights of UNet, text encoder and VAE, whatever order the files hold
    them in. The result is remembered by path, size and time of the files, so a second call reads no weights.

    Raises:
        ModelNotFoundError, UnsupportedModelError: As `model_folder` and `check_model_folder`.
        ModelError: A weight file is damaged.
    """
    folder = model_folder(source)
    check_model_folder(folder)
    files = [path for component, name in WEIGHT_NAMES.items() for path in _weight_files(folder / component, name)]
    signature = _signature(files)
    remembered = _remembered()
    if signature not in remembered:
        remembered[signature] = _fingerprint(folder)
        _remember(remembered)
    return remembered[signature]


def _hub_folder(source: str) -> Path:
    from diffusers import StableDiffusionPipeline  # only hub ids need it, and it takes seconds to import

    for local_only in (True, False):
        try:
            return Path(
                StableDiffusionPipeline.download(
                    source, local_files_only=local_only, use_safetensors=True, safety_checker=None
                )
            )
        except Exception as error:  # the hub client raises a dozen unrelated kinds: all mean "not to be had"
            reason = str(error).strip().splitlines()
    raise ModelNotFoundError(
        f"base model {source} is not in the local cache and could not be downloaded"
        + (f": {reason[0]}" if reason else ""),
        f"check the name and the connection, or download it first: hf download {source}",
    )


def _need(path: Path) -> None:
    if not path.is_file():
        component = path.parent.name
        raise ModelNotFoundError(
            f"the base model in {path.parent.parent} is incomplete: {component}/{path.name} is missing",
            "copy or download the model again",
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "copy or download the model again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is damaged", "copy or download the model again")
    return content


def _weight_files(folder: Path, name: str) -> list[Path]:
    index = folder / f"{name}.safetensors.index.json"
    if index.is_file():
        shards = [folder / shard for shard in sorted(set(_read_json(index).get("weight_map", {}).values()))]
        for shard in shards:
            _need(shard)
        return shards
    for file_name in (f"{name}.safetensors", f"{name}.fp16.safetensors"):
        if (folder / file_name).is_file():
            return [folder / file_name]
    if any(folder.glob("*.bin")) or any(folder.glob("*.ckpt")):
        raise UnsupportedModelError(
            f"{folder} holds its weights only as pickle files, which can run code and are never loaded", _CONVERT_HINT
        )
    raise ModelNotFoundError(
        f"the base model in {folder.parent} is incomplete: {folder.name}/{name}.safetensors is missing",
        "copy or download the model again",
    )


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for component, name in WEIGHT_NAMES.items():
        digest.update(component.encode())
        entries = [
            (key, path, entry) for path in _weight_files(folder / component, name) for key, entry in _header(path)
        ]
        for key, path, entry in sorted(entries, key=lambda item: item[0]):
            digest.update(f"{key} {entry['dtype']} {entry['shape']}".encode())
            for chunk in _tensor_bytes(path, entry["data_offsets"]):
                digest.update(chunk)
    return f"sd1:{digest.hexdigest()[:16]}"


def _header(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size - 8:
                raise ValueError("the header is longer than the file")
            header = json.loads(file.read(length))
        last = max((entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"), default=0)
        if path.stat().st_size != 8 + length + last:
            raise ValueError("the file is cut off")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"weight file {path} is damaged: {error}", "copy or download the model again") from error
    base = 8 + length
    for key, entry in header.items():
        if key != "__metadata__":
            entry["data_offsets"] = [base + offset for offset in entry["data_offsets"]]
    return [(key, entry) for key, entry in header.items() if key != "__metadata__"]


def _tensor_bytes(path: Path, offsets: list[int]) -> Iterator[bytes]:
    start, end = offsets
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            chunk = file.read(min(_CHUNK_BYTES, end - start))
            start += len(chunk)
            yield chunk


def _signature(files: list[Path]) -> str:
    parts = []
    for path in files:
        status = path.stat()
        parts.append(f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _remembered() -> dict[str, str]:
    try:
        content = json.loads(paths.fingerprints_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(fingerprints: dict[str, str]) -> None:
    target = paths.fingerprints_file()
    scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(fingerprints, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(scratch, target)
    except OSError:  # only a cache: an unwritable home must not stop a run
        with suppress(OSError):
            scratch.unlink()

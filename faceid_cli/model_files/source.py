"""From what a user calls a base model to its files on disk."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path

from faceid_cli.errors import ModelError, ModelNotFoundError
from faceid_cli.kept import paths
from faceid_cli.model_files.folder import check_model_folder
from faceid_cli.model_files.single_file import read_single_file
from faceid_cli.orders.checks import user_path
from faceid_cli.types import BUILTIN

_REASONS = {
    "GatedRepoError": "its owner wants you to agree to terms first",
    "RepositoryNotFoundError": "there is no such model, or it is private",
    "RevisionNotFoundError": "it has no such revision",
    "RemoteEntryNotFoundError": "it has no model_index.json, so it is no folder of diffusers",
    "EntryNotFoundError": "it has no model_index.json, so it is no folder of diffusers",
    "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set",
    "ConnectError": "the hub cannot be reached",
    "ConnectTimeout": "the hub cannot be reached",
}
_found: dict[tuple[str, str | None], Path] = {}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")


def model_path(source: str, variant: str | None = None) -> Path:
    """Return the local folder or file of a base model.

    Args:
        source: "builtin", a local folder in diffusers' layout, a `.safetensors` or `.ckpt` file, or a hub id
            ("owner/name" or "owner/name@revision"), which is looked up in the local cache and, if it is not there,
            downloaded by diffusers (unless HF_HUB_OFFLINE is set).
        variant: Of the weights to look for on the hub.

    Raises:
        ModelNotFoundError: Nothing there, or the hub cannot be reached.
    """
    if source == BUILTIN:
        return paths.builtin_model_dir()
    path = user_path(source)
    if os.path.isdir(path) or os.path.isfile(path):  # unlike Path's own, these take names that are too long
        return path
    if HUB_ID.fullmatch(source) and path.suffix.lower() not in (".safetensors", ".ckpt"):
        return _hub_folder(source, variant)
    raise ModelNotFoundError(
        f"no base model at {source}",
        "give a folder in diffusers' layout, a .safetensors or .ckpt file, a hub id such as owner/name, or builtin",
    )


def check_model(source: str, variant: str | None = None) -> str:
    """Check that a base model is there, whole and of a supported family, and return the family.

    Raises:
        ModelNotFoundError, UnsupportedModelError, ModelError: It is not; the message says why.
    """
    path = model_path(source, variant)
    return read_single_file(path).family if path.is_file() else check_model_folder(path, variant)


def is_here(source: str, variant: str | None = None) -> bool:
    """Whether a base model is on this machine, or nowhere: of a hub id, in the local cache. The hub is not asked."""
    path = user_path(source)
    if source == BUILTIN or os.path.exists(path) or not HUB_ID.fullmatch(source):
        return True
    name, _, revision = source.partition("@")
    for each in (variant,) if variant else (None, "fp16"):
        with suppress(Exception):  # the hub client raises a dozen unrelated kinds: all mean "not here"
            check_model_folder(_fetched(name, revision or None, each, local_only=True), variant)
            return True
    return False


def _hub_folder(source: str, variant: str | None) -> Path:
    """Look a hub model up once in a process, as long as it stays whole: the hub may be asked each time."""
    if (source, variant) in _found:
        with suppress(ModelNotFoundError):
            check_model_folder(_found[source, variant], variant)
            return _found[source, variant]
    folder = _found[source, variant] = _look_up(source, variant)
    return folder


def _look_up(source: str, variant: str | None) -> Path:
    name, _, revision = source.partition("@")
    partial: ModelError | None = None
    reasons: list[str] = []
    # A repository may have its weights in half precision only.
    variants = (variant,) if variant else (None, "fp16")
    for local_only in (True, False):
        reasons.clear()
        for each in variants:
            try:
                folder = _fetched(name, revision or None, each, local_only)
            except Exception as error:  # the hub client raises a dozen unrelated kinds: all mean "not to be had"
                reasons.append(hub_reason(error))
                continue
            try:
                check_model_folder(folder, variant)
            except ModelNotFoundError as error:  # a download that was broken off: go on with it
                partial = partial or error
                continue
            return folder
    if partial is not None:
        raise ModelNotFoundError(
            partial.message, f"finish the download where there is a connection: hf download {name}"
        )
    raise ModelNotFoundError(
        f"base model {source} is not in the local cache and could not be downloaded: {reasons[0]}",
        hub_hint(name, reasons[0]),
    )


def _fetched(name: str, revision: str | None, variant: str | None, local_only: bool) -> Path:
    from diffusers import DiffusionPipeline  # only hub ids need it, and it takes seconds to import
    from diffusers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # what goes wrong is told in an error of ours
    try:
        return Path(
            DiffusionPipeline.download(
                name,
                revision=revision,
                variant=variant,
                local_files_only=local_only,
                use_safetensors=True,
                safety_checker=None,
            )
        )
    finally:
        logging.set_verbosity(before)


def hub_reason(error: Exception) -> str:
    """Why something could not be had from the hub; diffusers hides the first cause behind errors of its own."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    for each in chain:
        if type(each).__name__ in _REASONS:
            return _REASONS[type(each).__name__]
        if isinstance(each, OSError) and each.errno == errno.ENOSPC:
            return "the disk is full"
        if "necessary `safetensors` weights" in str(each):
            return "it has no safetensors weights"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def hub_hint(name: str, reason: str) -> str:
    if "terms" in reason or "private" in reason:
        return f"agree on https://huggingface.co/{name}, then log in with: hf auth login"
    if "no safetensors" in reason:
        return "pickle files can run code and are never loaded: look for the model as safetensors"
    if "model_index.json" in reason or "config.json is missing" in reason:
        return f"if it holds a single file, download that and give its path: hf download {name} FILE"
    if "disk is full" in reason:
        return "make room, or set HF_HOME to a folder on a larger disk"
    return f"check the name and the connection, or download it first: hf download {name}"

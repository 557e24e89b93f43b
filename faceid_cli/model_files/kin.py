"""Which base models understand each other's people: those of one family; the built-in model has one of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from faceid_cli.errors import FaceIDError
from faceid_cli.model_files.fingerprint import family_of_fingerprint
from faceid_cli.model_files.folder import read_json
from faceid_cli.model_files.single_file import read_single_file
from faceid_cli.model_files.source import HUB_ID, model_path
from faceid_cli.orders.checks import user_path
from faceid_cli.types import BUILTIN


def read_configs(path: Path) -> dict[str, dict[str, Any]]:
    """Configurations of UNet, scheduler and VAE of a base model's folder or file, by these names in lower case."""
    if path.is_file():
        return {"vae": {}, **read_single_file(path).configs}
    return {
        "unet": read_json(path / "unet" / "config.json"),
        "scheduler": read_json(path / "scheduler" / "scheduler_config.json"),
        "vae": read_json(path / "vae" / "config.json"),
    }


def kin_of(source: str, fingerprint: str) -> str:
    """Return the family of a base model: "builtin" for the built-in model and what was trained from it.

    That is laid out as Stable Diffusion 1.x, but reads narrower text.

    Args:
        source: What it is loaded from; nothing is downloaded to look at it.
        fingerprint: Of its weights.

    Returns:
        A key of `FAMILY_NAMES`; "" where it cannot be told.
    """
    family = family_of_fingerprint(fingerprint)
    if source == BUILTIN:
        return BUILTIN
    if family != "sd1":
        return family
    path = user_path(source)
    if not os.path.exists(path):
        return family if HUB_ID.fullmatch(source) else ""
    try:
        return BUILTIN if _text_width(path) == _text_width(model_path(BUILTIN)) else family
    except FaceIDError:
        return ""


def _text_width(path: Path) -> object:
    return read_configs(path)["unet"].get("cross_attention_dim")

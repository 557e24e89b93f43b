"""From what a user calls a ControlNet to its files, and what those are made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceid_cli.errors import ModelNotFoundError, UnsupportedModelError
from faceid_cli.kept.foreign import read_json
from faceid_cli.model_files.components import check_sizes
from faceid_cli.model_files.controlnet_file import read_controlnet_file
from faceid_cli.model_files.layout import Piece
from faceid_cli.model_files.source import HUB_ID, hub_hint, hub_reason
from faceid_cli.orders.checks import user_path

_WEIGHTS = "diffusion_pytorch_model"
_FILES = ("config.json", f"{_WEIGHTS}.safetensors", f"{_WEIGHTS}-*.safetensors", f"{_WEIGHTS}.safetensors.index.json")


@dataclass(frozen=True)
class ControlNetFiles:
    """A ControlNet on this machine.

    Attributes:
        name: What it is called: the folder's or file's name, or the hub id.
        path: A folder in diffusers' layout, or one file.
        config: Its `config.json`, or what stands for it.
        pieces: Of a file: diffusers' name of each weight -> where it is.
    """

    name: str
    path: Path
    config: dict[str, Any]
    pieces: Mapping[str, Piece] = field(default_factory=dict)

    @property
    def weights(self) -> list[Path]:
        """Its weight files."""
        return [self.path] if self.pieces else sorted(self.path.glob(f"{_WEIGHTS}*.safetensors"))


def find_controlnet(source: str) -> ControlNetFiles:
    """Find a ControlNet: a folder in diffusers' layout, one file, or a hub id, which is downloaded if it is not cached.

    Raises:
        ModelNotFoundError: Nothing there, or the hub cannot be reached.
        UnsupportedModelError: Something else than a ControlNet.
        ModelError: Damaged.
    """
    path = user_path(source)
    if path.is_file():
        pieces, config = read_controlnet_file(path)
        return ControlNetFiles(path.name, path, config, pieces)
    if path.is_dir():
        return _checked(path, path.resolve().name)
    if not HUB_ID.fullmatch(source):
        raise ModelNotFoundError(
            f"no ControlNet at {source}", "give a folder in diffusers' layout, one file, or owner/name"
        )
    return _from_hub(source)


def _from_hub(source: str) -> ControlNetFiles:
    from huggingface_hub import snapshot_download  # only hub ids need it

    name, _, revision = source.partition("@")
    reason = ""
    for local_only in (True, False):
        try:
            folder = snapshot_download(
                name, revision=revision or None, allow_patterns=list(_FILES), local_files_only=local_only
            )
            return _checked(Path(folder), source)
        except UnsupportedModelError:
            raise
        except Exception as error:  # the hub client raises a dozen unrelated kinds: all mean "not to be had"
            reason = error.message if isinstance(error, ModelNotFoundError) else hub_reason(error)
    raise ModelNotFoundError(
        f"ControlNet {source} is not in the local cache and could not be downloaded: {reason}",
        hub_hint(name, reason),
    )


def _checked(folder: Path, name: str) -> ControlNetFiles:
    try:
        config = read_json(folder / "config.json")
    except FileNotFoundError as error:
        raise ModelNotFoundError(
            f"no ControlNet in {folder}: config.json is missing", "copy the whole folder"
        ) from error
    except (OSError, ValueError) as error:
        raise UnsupportedModelError(f"{folder / 'config.json'} cannot be read", "copy the folder again") from error
    kind = config.get("_class_name") if isinstance(config, dict) else None
    if kind != "ControlNetModel":
        raise UnsupportedModelError(
            f"{folder} holds {'a ' + kind if isinstance(kind, str) else 'something else'}, not a ControlNetModel",
            "give a ControlNet for the family of the base model",
        )
    check_sizes(folder / "config.json", config)
    found = ControlNetFiles(name, folder, config)
    if not found.weights:
        pickled = list(folder.glob(f"{_WEIGHTS}*.bin"))
        raise (UnsupportedModelError if pickled else ModelNotFoundError)(
            f"the ControlNet in {folder} has no weights in safetensors",
            "pickled weights are never read: convert them first" if pickled else "copy the whole folder",
        )
    return found

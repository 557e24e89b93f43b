"""Training checkpoints: everything that a run needs to go on as if it had never stopped. Safetensors and JSON only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import CheckpointError
from faceid_cli.kept.files import write_atomically
from faceid_cli.orders import TrainConfig
from faceid_cli.tokens import TokenModule, TokenModules
from faceid_cli.training.data import Draws, hash_of_crop
from faceid_cli.types import FaceCrop

FILE_NAME = "checkpoint.safetensors"
_VERSION = 1
_METADATA_KEY = "faceid-checkpoint"
# How often to save, and how steps are launched, does not change the result; device and precision are compared as they
# were resolved.
_NOT_COMPARED = ("checkpoint_every", "capture", "device", "precision")
_HINT = "use the settings, photos and base model it was made with, or start anew without --resume"


@dataclass
class RunState:
    """A run at the end of a step.

    Attributes:
        module: The token module.
        optimizer: The optimiser of the token module's parameters.
        draws: Its random draws.
        losses: One (reconstruction, attention) pair per finished step.
        seconds: Time spent on those steps.
        saved_at: The last checkpoint of this run, or None.
        sums: Of the features over the last steps, float64 by "<text encoder>.keys" and "<text encoder>.values"; empty
            before the first of them, and where nothing is averaged.
    """

    module: TokenModule | TokenModules
    optimizer: torch.optim.Optimizer
    draws: Draws
    losses: list[tuple[float, float]]
    seconds: float = 0.0
    saved_at: Path | None = None
    sums: dict[str, Tensor] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Finished steps."""
        return len(self.losses)


def run_key(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> dict[str, Any]:
    """Return everything that decides the outcome of a run, as JSON values: a checkpoint must match all of it."""
    settings = {name: value for name, value in asdict(config).items() if name not in _NOT_COMPARED}
    return {
        **settings,
        "device": base.device.type,
        "precision": str(base.dtype).removeprefix("torch."),
        "base model": base.fingerprint,
        **({"additions": list(base.additions)} if base.additions else {}),
        "photos": [crop.photo_sha256 for crop in crops],
        "crops": [hash_of_crop(crop) for crop in crops],
    }


def save_checkpoint(folder: Path, state: RunState, key: Mapping[str, Any]) -> Path:
    """Write the checkpoint into a folder, whole or not at all, and return its file.

    Raises:
        OutputError: It cannot be written.
    """
    tensors = {f"module.{name}": value for name, value in state.module.state_dict().items()}
    for index, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
    tensors |= {f"draws.{purpose}": value for purpose, value in state.draws.state().items()}
    tensors |= {f"sums.{name}": value for name, value in state.sums.items()}
    tensors["losses"] = torch.tensor(state.losses, dtype=torch.float64).reshape(-1, 2)
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    header = {"version": _VERSION, "step": state.step, "seconds": state.seconds, "run": dict(key)}
    path = folder / FILE_NAME
    write_atomically(path, save(plain, {_METADATA_KEY: json.dumps(header, sort_keys=True)}))
    state.saved_at = path
    return path


def load_checkpoint(folder: Path, state: RunState, key: Mapping[str, Any]) -> None:
    """Put a checkpoint's content into a freshly built state.

    Raises:
        CheckpointError: There is none, it is damaged, or it belongs to another run: the message says what differs.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint to resume at {path}", "start without --resume")
    header, tensors = _read(path)
    differences = _differences(header["run"], key)
    if differences:
        raise CheckpointError(f"the checkpoint at {path} belongs to another run: {'; '.join(differences)}", _HINT)
    try:
        _restore(state, header, tensors)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(f"the checkpoint at {path} is damaged: {error}", "start without --resume") from error
    state.saved_at = path


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        version, _ = header["version"], header["run"].items()
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the checkpoint at {path} is damaged: {error}", "start without --resume") from error
    if version != _VERSION:
        raise CheckpointError(f"the checkpoint at {path} is of version {version}, not {_VERSION}", _HINT)
    return header, tensors


def _differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    found = []
    for name in sorted({*stored, *current}):
        there, here = stored.get(name), json.loads(json.dumps(current.get(name)))
        if there == here:
            continue
        listed = isinstance(there, list) or isinstance(here, list)
        found.append(f"other {name}" if listed else f"{name.replace('_', ' ')} is {there} there and {here} here")
    return found


def _restore(state: RunState, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    state.module.load_state_dict(_under("module", tensors))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimizer", tensors).items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = value
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    state.draws.restore(_under("draws", tensors))
    state.sums = _under("sums", tensors)
    state.losses[:] = [(pair[0], pair[1]) for pair in tensors["losses"].tolist()]
    state.seconds = float(header["seconds"])
    if state.step != header["step"]:
        raise ValueError("its losses do not fit its step")


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}

"""Checkpoints of the pretraining runs: safetensors for every tensor, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class Checkpoint:
    """Weights of some modules, the optimiser's state and the step, in one folder.

    Args:
        folder: Where the checkpoint lies.
        modules: Modules by name.
        optimizer: Its state is kept too.
    """

    def __init__(self, folder: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
        self.folder = folder
        self.modules = modules
        self.optimizer = optimizer

    def load(self) -> int:
        """Restore what is there; returns the step, 0 for a fresh start."""
        if not (self.folder / "state.json").exists():
            return 0
        for name, module in self.modules.items():
            module.load_state_dict(load_file(self.folder / f"{name}.safetensors"))
        flat = load_file(self.folder / "optimizer.safetensors")
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in flat.items():
            index, field = key.split(".", 1)
            state.setdefault(int(index), {})[field] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
        return int(json.loads((self.folder / "state.json").read_text())["step"])

    def save(self, step: int) -> None:
        """Write everything; each file is replaced in one move, the step last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, module in self.modules.items():
            tensors = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
            self._write(f"{name}.safetensors", tensors)
        state = self.optimizer.state_dict()["state"]
        flat = {
            f"{index}.{field}": torch.as_tensor(value).detach().cpu().contiguous()
            for index, entry in state.items()
            for field, value in entry.items()
        }
        self._write("optimizer.safetensors", flat)
        (self.folder / "state.json").write_text(json.dumps({"step": step}))

    def _write(self, name: str, tensors: dict[str, Tensor]) -> None:
        partial = self.folder / f"{name}.partial"
        save_file(tensors, partial)
        partial.replace(self.folder / name)

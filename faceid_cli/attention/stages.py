"""Record cross-attention over a whole rendering, the timestep stages apart.

Shapes: B rows, H x W pixels of a layer, T text positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from faceid_cli.attention.hooks import stage_of
from faceid_cli.attention.record import AttentionMap, record_attention, with_equal_rows


@dataclass
class StagedRecord:
    """What has been recorded; see `record_stages`.

    Attributes:
        stages: Number of stages.
        totals: For each stage the sum of each layer's maps, (B, H, W, T) on the CPU.
        passes: For each stage the forward passes that were summed up.
    """

    stages: int
    totals: list[dict[str, Tensor]] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.totals = [{} for _ in range(self.stages)]
        self.passes = [0] * self.stages

    def add(self, stage: int, maps: list[AttentionMap]) -> None:
        """Add one forward pass."""
        for part in maps:
            probabilities, total = part.probabilities.cpu(), self.totals[stage].get(part.layer)
            self.totals[stage][part.layer] = probabilities if total is None else with_equal_rows(total, probabilities)
        self.passes[stage] += 1

    def maps(self, stage: int | None = None) -> list[AttentionMap]:
        """One map a layer: the mean over a stage's forward passes, or over all of them; none for an unused stage."""
        chosen = range(self.stages) if stage is None else (stage,)
        passes = sum(self.passes[index] for index in chosen)
        summed: dict[str, Tensor] = {}
        for index in chosen:
            for layer, total in self.totals[index].items():
                summed[layer] = with_equal_rows(summed[layer], total) if layer in summed else total
        return [AttentionMap(layer, total / passes) for layer, total in summed.items()]


@contextmanager
def record_stages(unet: nn.Module, stages: int, num_train_timesteps: int = 1000) -> Iterator[StagedRecord]:
    """Record every forward pass while the context lasts; all rows of a pass must share one timestep, as in sampling.

    Args:
        unet: A UNet with cross-attention; it is left as found.
        stages: Into how many equal stages the timesteps are cut.
        num_train_timesteps: Timesteps that the stages divide.

    Raises:
        ModelError: As `record_attention`.
    """
    staged = StagedRecord(stages)
    with record_attention(unet, keep="last") as record:

        def after(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            timestep = named["timestep"] if "timestep" in named else arguments[1]
            first = int(torch.as_tensor(timestep).reshape(-1)[0])
            staged.add(stage_of(first, stages, num_train_timesteps), record.maps())
            record.clear()

        handle = unet.register_forward_hook(after, with_kwargs=True)
        try:
            yield staged
        finally:
            handle.remove()

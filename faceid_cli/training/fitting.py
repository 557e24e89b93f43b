"""Find the largest batch that fits into memory, by trying one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import OutOfMemoryError
from faceid_cli.orders import TrainConfig
from faceid_cli.training.loop import train_identity
from faceid_cli.types import FaceCrop


def fitting_batch(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> int:
    """Return `config.batch_size`, halved as often as it takes for a step to fit into memory.

    Raises:
        OutOfMemoryError: Not even a batch of one fits.
    """
    size = config.batch_size
    while True:
        try:
            train_identity(base, crops, replace(config, steps=1, batch_size=size))
        except OutOfMemoryError:
            if size == 1:
                raise
            size //= 2
            continue
        return size

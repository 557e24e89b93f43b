"""How long and how fast to train where nothing is said: that depends on what features start from. No side effects."""

from __future__ import annotations

from dataclasses import dataclass, replace

from faceid_cli.config.training import AS_SUITS, TrainConfig


@dataclass(frozen=True)
class Pace:
    """The usual training from some initial token.

    Attributes:
        most_steps: Optimiser steps.
        learning_rate: Of AdamW.
        steps_of_photo: Fewer steps with few photos, so many for each; 0 for all of them anyway.
        averaged: Whether the features are averaged over all steps.
    """

    most_steps: int
    learning_rate: float
    steps_of_photo: int = 0
    averaged: bool = False

    def steps(self, photos: int) -> int:
        """How many steps suit a number of photos."""
        return min(self.most_steps, photos * self.steps_of_photo) if self.steps_of_photo else self.most_steps


# A name that is nearly right has not far to go; the average keeps what all steps agree on, and half of the way back.
PACES = {
    "class": Pace(300, 5e-3),
    "search": Pace(300, 5e-3),
    "regression": Pace(40, 1e-2, steps_of_photo=20, averaged=True),
}
"""By initial token. Measured for "regression" alone (benchmarks/results/tried.md)."""


def paced(config: TrainConfig, photos: int) -> TrainConfig:
    """Return settings with steps, learning rate and averaging as suits a settled initial token; what is said stays.

    Args:
        config: Settings whose initial token is not "auto".
        photos: How many are learned from.
    """
    pace = PACES[config.initial_token]
    steps = config.steps or pace.steps(photos)
    average = config.average_last
    if average == AS_SUITS:
        average = steps if pace.averaged and config.stop_by == "steps" else 0
    return replace(config, steps=steps, learning_rate=config.learning_rate or pace.learning_rate, average_last=average)

"""How fast to learn at each step. Needs no torch."""

from __future__ import annotations

import math

from faceid_cli.orders import TrainConfig


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Return the learning rate of a step, counted from 0.

    It rises in a line over the warm-up's steps; then it stays, or falls along half a cosine and is nearly 0 at the end.
    """
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / (config.warm_up + 1)
    if config.learning_rate_schedule == "constant":
        return config.learning_rate
    done = (step - config.warm_up) / max(config.steps - config.warm_up, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

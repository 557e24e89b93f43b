"""Settings of training, loading and rendering: defaults, units, checks and presets. No side effects.

The defaults are the paper's where it gives them. Others were tried on the built-in model, on people kept apart for it:
benchmarks/results/tried.md has what came of it.
"""

from faceid_cli.config.checks import MAX_SEED, PRECISIONS, check_seed
from faceid_cli.config.loading import ModelOptions
from faceid_cli.config.pace import pace_of, paced
from faceid_cli.config.rendering import CONTROLS, SCHEDULERS, RenderConfig
from faceid_cli.config.training import PRESETS, TrainConfig, preset

__all__ = [
    "CONTROLS",
    "MAX_SEED",
    "PRECISIONS",
    "PRESETS",
    "SCHEDULERS",
    "ModelOptions",
    "RenderConfig",
    "TrainConfig",
    "check_seed",
    "pace_of",
    "paced",
    "preset",
]

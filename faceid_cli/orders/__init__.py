"""What can be ordered: every option of training, loading and rendering, with its default, its help and its check, once.

No side effects, and nothing heavy.
"""

from faceid_cli.orders.checks import MAX_SEED, PRECISIONS, check_seed
from faceid_cli.orders.enrolling import EnrolOrder, is_people_word
from faceid_cli.orders.loading import ModelOptions
from faceid_cli.orders.rendering import CONTROLS, RenderOrder
from faceid_cli.orders.sampling import SCHEDULERS, RenderConfig
from faceid_cli.orders.training import PRESETS, TrainConfig, paced, preset

__all__ = [
    "CONTROLS",
    "MAX_SEED",
    "PRECISIONS",
    "PRESETS",
    "SCHEDULERS",
    "EnrolOrder",
    "ModelOptions",
    "RenderConfig",
    "RenderOrder",
    "TrainConfig",
    "check_seed",
    "is_people_word",
    "paced",
    "preset",
]

"""Base models: load one, frozen, on the right device; the only room that builds a pipeline.

A base model is a Stable Diffusion pipeline of a supported family. All sizes are read from its configuration: nothing
here or above assumes the sizes of Stable Diffusion 1.5.
"""

from faceid_cli.backbone.lean_imports import LazyPackage  # first: it acts before diffusers is imported
from faceid_cli.backbone.load import load_base_model
from faceid_cli.backbone.memory import at_work, memory_errors, ready_to_learn
from faceid_cli.backbone.model import BaseModel, TextEncoder
from faceid_cli.backbone.noise import drop_empty_warnings

drop_empty_warnings()

__all__ = [
    "BaseModel",
    "LazyPackage",
    "TextEncoder",
    "at_work",
    "load_base_model",
    "memory_errors",
    "ready_to_learn",
]

"""Load a base model: its files are read while torch, which takes seconds to import, is brought in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceid_cli.kept.signals import held_signals
from faceid_cli.model_files import read_ahead
from faceid_cli.orders import ModelOptions, RenderConfig, TrainConfig
from faceid_cli.types import OnNote

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel


def begin_loading(source: str, options: ModelOptions | None) -> None:
    """Begin to read a base model's files, and bring in torch; for who needs torch before the base model is loaded.

    Args:
        source: As of `load_base_model`.
        options: How it will be loaded.
    """
    read_ahead(source, options.variant if options else None)
    with held_signals():  # stopped while it sets itself up in C++, torch would abort the process
        import torch  # noqa: F401


def base_model(
    source: str, config: RenderConfig | TrainConfig, options: ModelOptions | None, on_note: OnNote | None = None
) -> BaseModel:
    """Load a base model.

    Args:
        source: As of `load_base_model`.
        config: Its device and precision.
        options: How to load it.
        on_note: Called with what is worth telling of it.

    Raises:
        ModelError: It cannot be loaded.
        OutOfMemoryError: It does not fit.
    """
    begin_loading(source, options)

    from faceid_cli.backbone import load_base_model

    base = load_base_model(source, config.device, config.precision, options)
    if on_note is not None:
        for line in base.notes:
            on_note(line)
    return base

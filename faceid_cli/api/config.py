"""The user's own defaults: what can be kept as one."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.kept.settings import write_setting
from faceid_cli.model_files import check_model
from faceid_cli.model_files.source import HUB_ID
from faceid_cli.registry.base_models import shown_source
from faceid_cli.registry.sources import chosen_source
from faceid_cli.types import BUILTIN


def set_setting(key: str, value: str) -> str:
    """Keep a setting and return the value as it was kept; paths become absolute, names of base models what they mean.

    Raises:
        UsageError: No such key, or a value that cannot be.
        ModelError: A base model that cannot be used.
        OutputError: It cannot be kept.
    """
    return write_setting(key, _model(value) if key == "model" else value)


def shown_setting(key: str, value: str) -> str:
    """A setting's value as people are told of it: a base model by its name, where it has one."""
    return shown_source(value) if key == "model" else value


def _model(value: str) -> str:
    if value == BUILTIN or (not Path(value).expanduser().exists() and HUB_ID.fullmatch(value)):
        return value
    source = chosen_source(value)
    check_model(source)
    return source

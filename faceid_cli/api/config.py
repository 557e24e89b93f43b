"""The user's own defaults: what can be kept as one."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.kept.settings import write_setting
from faceid_cli.model_files import check_model
from faceid_cli.model_files.source import HUB_ID
from faceid_cli.types import BUILTIN


def set_setting(key: str, value: str) -> str:
    """Keep a setting and return the value as it was kept; paths become absolute.

    Raises:
        UsageError: No such key, or a value that cannot be.
        ModelError: A base model that cannot be used.
        OutputError: It cannot be kept.
    """
    return write_setting(key, _model(value) if key == "model" else value)


def _model(value: str) -> str:
    path = Path(value).expanduser()
    if value == BUILTIN or (not path.exists() and HUB_ID.fullmatch(value)):
        return value
    check_model(value)
    return str(path.resolve())

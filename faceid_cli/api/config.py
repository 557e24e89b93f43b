"""The user's own defaults: what can be kept as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from faceid_cli.api.preparing import intake_options
from faceid_cli.errors import ModelNotFoundError
from faceid_cli.kept.defaults import OPTIONS
from faceid_cli.kept.settings import known_key, write_setting
from faceid_cli.model_files import check_model
from faceid_cli.model_files.source import HUB_ID
from faceid_cli.orders import EnrolOrder
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.option import Options
from faceid_cli.registry.base_models import shown_source
from faceid_cli.registry.records import check_tags
from faceid_cli.registry.sources import checked_options, chosen_source
from faceid_cli.rendering.prompts import parse_embedding
from faceid_cli.types import BUILTIN


def set_setting(key: str, value: str) -> str:
    """Keep a setting and return the value as it was kept; paths become absolute, names of base models what they mean.

    Raises:
        UsageError: No such key, or a value that cannot be.
        ModelError: A base model that cannot be used.
        OutputError: It cannot be kept.
    """
    key = known_key(key)
    if key in OPTIONS:
        _check_files_and_words(OPTIONS[key].read(value), OPTIONS[key].orders)
    return write_setting(key, _model(value) if key == "model" else value)


def shown_setting(key: str, value: str) -> str:
    """A setting's value as people are told of it: a base model by its name, where it has one."""
    return shown_source(value) if key == "model" else value


def _check_files_and_words(values: Mapping[str, Any], orders: Sequence[type[Options]]) -> None:
    """Check what the commands check before they begin, beside what the options themselves do."""
    for text in values.get("embeddings", ()):
        file, _ = parse_embedding(text)
        if not file.is_file():
            raise ModelNotFoundError(f"no embedding at {file}", "check the spelling; FILE or FILE:WORD")
    if EnrolOrder in orders:
        order = EnrolOrder.of(name="anna", photos=("x",), **values)
        intake_options(order, 1)
        check_tags(order.tags)
        checked_options(order.options)


def _model(value: str) -> str:
    if value == BUILTIN or (not user_path(value).exists() and HUB_ID.fullmatch(value)):
        return value
    source = chosen_source(value)
    check_model(source)
    return source

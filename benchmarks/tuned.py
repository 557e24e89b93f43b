"""The settings that `benchmarks.quality tune` found: one file, by number of photos, then by method."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from benchmarks.baselines import METHODS, Settings
from faceid_cli.orders import paced, preset

FILE = "quality_settings.json"


def write_settings(folder: Path, photos: int, name: str, settings: Mapping[str, Any]) -> None:
    """Add a method's settings to the file of all, which another process may have changed meanwhile."""
    file = folder / FILE
    found = _all(folder)
    found.setdefault(str(photos), {})[name] = dict(settings)
    scratch = file.with_suffix(".tmp")
    scratch.write_text(json.dumps(found, indent=2) + "\n")
    scratch.replace(file)


def read_settings(folder: Path, photos: int) -> dict[str, dict[str, Any]]:
    """What was found for so many photos, by method; empty before `tune` ran."""
    return _all(folder).get(str(photos), {})


def settings_for(folder: Path, photos: int, name: str) -> Settings:
    """A method's settings for so many photos: what `tune` found, else its defaults; faceid's own as users get them."""
    found = read_settings(folder, photos).get(name)
    if found is not None:
        return tuned_settings(found)
    return METHODS[name].defaults if name != "sefi" else as_users_get_it()


def as_users_get_it() -> Settings:
    """faceid's own settings on a model that knows names, with all that it settles by itself."""
    config = paced(preset("sefi", initial_token="regression"))
    options = {"average_last": config.average_last} if config.average_last else {}
    defaults = METHODS["sefi"].defaults
    return replace(defaults, steps=config.steps, learning_rate=config.learning_rate, options=options)


def tuned_settings(found: Mapping[str, Any]) -> Settings:
    """A method's settings of what `tune` wrote; the defaults for those it did not write."""
    known = {field.name for field in fields(Settings)}
    return Settings(**{name: value for name, value in found.items() if name in known})


def _all(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    file = folder / FILE
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(file.read_text()) if file.exists() else {}
    return found

"""The user's own defaults, kept in `config.json` below FACEID_HOME by `faceid config set`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faceid_cli.errors import FaceIDError, OutputError, UsageError
from faceid_cli.kept import paths
from faceid_cli.kept.files import write_atomically
from faceid_cli.orders.checks import PRECISIONS, check_device, one_of
from faceid_cli.types import BUILTIN

DETECTORS = ("mobilenet", "resnet50")


@dataclass(frozen=True)
class Setting:
    """One key: what it is for, its default, and a check that returns the value to keep."""

    help: str
    default: str
    check: Callable[[str], str]


def _output(value: str) -> str:
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise OutputError(f"there is no folder {value}", "make the folder first")
    return str(folder.resolve()) if value != "." else value


SETTINGS: dict[str, Setting] = {
    "model": Setting("base model: builtin, a diffusers folder, a file or a hub id", BUILTIN, str),
    "device": Setting("auto, cpu, cuda, cuda:1 or mps", "auto", check_device),
    "precision": Setting(", ".join(PRECISIONS), "auto", one_of("precision", PRECISIONS)),
    "detector": Setting(
        f"finds faces in photographs: {' or '.join(DETECTORS)}", "mobilenet", one_of("detector", DETECTORS)
    ),
    "consent-question": Setting(
        "on or off: whether enroll asks in a terminal what a person said to it",
        "on",
        one_of("consent-question", ("on", "off")),
    ),
    "output": Setting('folder for pictures; "." is the current one', ".", _output),
}


def read_settings() -> dict[str, str]:
    """All settings, defaults included.

    Raises:
        FaceIDError: The file is damaged, or holds what `faceid config set` would not have written.
    """
    values = {key: setting.default for key, setting in SETTINGS.items()}
    values.update(_stored())
    return values


def read_setting(key: str) -> str:
    """One setting.

    Raises:
        UsageError: No such key.
        FaceIDError: The file is damaged.
    """
    _known(key)
    return read_settings()[key]


def write_setting(key: str, value: str) -> str:
    """Keep a setting and return the value as it was kept; paths become absolute. `api.config` checks base models.

    Raises:
        UsageError: No such key, or a value that cannot be.
        OutputError: The file cannot be written.
    """
    kept = _known(key).check(value)
    stored = _stored() | {key: kept}
    write_atomically(paths.config_file(), (json.dumps(stored, indent=2, sort_keys=True) + "\n").encode())
    return kept


def _known(key: str) -> Setting:
    if key not in SETTINGS:
        raise UsageError(f"unknown setting {key!r}", f"settings are: {', '.join(SETTINGS)}")
    return SETTINGS[key]


def _stored() -> dict[str, str]:
    file = paths.config_file()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise FaceIDError(f"the settings in {file} cannot be read: {error}", "correct the file or delete it") from error
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise FaceIDError(f"the settings in {file} are damaged", "correct the file or delete it")
    return {key: value for key, value in content.items() if key in SETTINGS}

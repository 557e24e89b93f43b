"""The user's own defaults, kept in `config.json` below FACEID_HOME by `faceid config set`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from faceid_cli import paths
from faceid_cli.config import PRECISIONS
from faceid_cli.errors import FaceIDError, OutputError, UsageError
from faceid_cli.model_files import BUILTIN, check_model

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")


@dataclass(frozen=True)
class Setting:
    """One key: what it is for, its default, and a check that returns the value to keep."""

    help: str
    default: str
    check: Callable[[str], str]


def _model(value: str) -> str:
    path = Path(value).expanduser()
    if value == BUILTIN or (not path.exists() and _HUB_ID.fullmatch(value)):
        return value
    check_model(value)
    return str(path.resolve())


def _device(value: str) -> str:
    kind, _, number = value.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not number.isdecimal()):
        raise UsageError(f"unknown device {value!r}", "use auto, cpu, cuda, cuda:1 or mps")
    return value


def _precision(value: str) -> str:
    if value not in PRECISIONS:
        raise UsageError(f"unknown precision {value!r}", f"choose one of: {', '.join(PRECISIONS)}")
    return value


def _detector(value: str) -> str:
    if value not in ("mobilenet", "resnet50"):
        raise UsageError(f"unknown detector {value!r}", "use mobilenet or resnet50")
    return value


def _output(value: str) -> str:
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise OutputError(f"there is no folder {value}", "make the folder first")
    return str(folder.resolve()) if value != "." else value


SETTINGS: dict[str, Setting] = {
    "model": Setting("base model: builtin, a diffusers folder, a file or a hub id", BUILTIN, _model),
    "device": Setting("auto, cpu, cuda, cuda:1 or mps", "auto", _device),
    "precision": Setting(", ".join(PRECISIONS), "auto", _precision),
    "detector": Setting("finds faces in photographs: mobilenet or resnet50", "mobilenet", _detector),
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
    """Keep a setting and return the value as it was kept; paths become absolute.

    Raises:
        UsageError: No such key, or a value that cannot be.
        ModelError: A base model that cannot be used.
        OutputError: The file cannot be written.
    """
    kept = _known(key).check(value)
    stored = _stored() | {key: kept}
    target = paths.config_file()
    scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(scratch, target)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {target}: {error.strerror}", "check space and permissions, or set FACEID_HOME"
        ) from error
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

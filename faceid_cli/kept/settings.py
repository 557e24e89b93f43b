"""The user's own defaults, kept in `config.json` below FACEID_HOME by `faceid config set`.

Those of options stand in where an order is made: `rendering_order` and `enrolment_order`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from faceid_cli.errors import FaceIDError, OutputError, UsageError
from faceid_cli.kept import paths
from faceid_cli.kept.defaults import OPTIONS, Kept, check_together, key_of, set_fields, with_defaults
from faceid_cli.kept.files import write_atomically
from faceid_cli.kept.foreign import read_json
from faceid_cli.kept.locks import locked
from faceid_cli.kept.signing import check_installed, signing_key
from faceid_cli.orders import EnrolOrder, RenderOrder
from faceid_cli.orders.checks import PRECISIONS, check_device, check_text, one_of, user_path
from faceid_cli.orders.enrolling import check_rivals, rivals_of
from faceid_cli.orders.option import Options
from faceid_cli.types import BUILTIN, OnNote

_PATIENCE_SECONDS = 10.0

DETECTORS = ("mobilenet", "resnet50")
_elsewhere: dict[str, str] | None = None


@dataclass(frozen=True)
class Setting:
    """One key: what it is for, its default, and a check that returns the value to keep."""

    help: str
    default: str
    check: Callable[[str], str]


def _output(value: str) -> str:
    folder = user_path(value)
    if not folder.is_dir():
        raise OutputError(f"there is no folder {value}", "make the folder first")
    return str(folder.resolve()) if value != "." else value


def _writer(value: str) -> str:
    return " ".join(check_text("prompt-writer", value).split())


def _provenance(value: str) -> str:
    if one_of("provenance", ("on", "off"))(value) == "on":
        check_installed()
        signing_key(read_setting("signing-key"))  # made now, or known to be of no use
    return value


def _signing_key(value: str) -> str:
    if not value:
        return value
    check_installed()
    path = user_path(value).absolute()
    signing_key(str(path))
    return str(path)


def _of_option(key: str, kept: Kept) -> Setting:
    """A default of an option: kept as it was typed, with whole paths, once the option has taken it."""

    def check(text: str) -> str:
        values = kept.read(text)
        check_together(_set_texts() | {key: text})
        (value, *more) = values.values()
        if more or kept.option.read is not None or not isinstance(value, str | tuple):
            return text
        if kept.option.check is not None:
            value = kept.option.check(value)
        return ",".join(value) if isinstance(value, tuple) else str(value)

    return Setting(kept.help, kept.shown(), check)


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
    "prompt-writer": Setting("your name, for pictures to say who wrote the prompt", "", _writer),
    "provenance": Setting(
        "on or off: whether rendered pictures are signed, and watermarked in their pixels", "off", _provenance
    ),
    "signing-key": Setting("PEM file of a key and its certificates; a key made here if empty", "", _signing_key),
    "output": Setting('folder for pictures; "." is the current one', ".", _output),
    **{key: _of_option(key, kept) for key, kept in OPTIONS.items()},
}


def read_settings() -> dict[str, str]:
    """All settings, defaults included.

    Raises:
        FaceIDError: The file is damaged, or holds what `faceid config set` would not have written.
    """
    values = {key: setting.default for key, setting in SETTINGS.items()}
    values.update(_stored())
    return values


def set_keys() -> list[str]:
    """Keys of the settings that are not as by default.

    Raises:
        FaceIDError: The file is damaged.
    """
    return [key for key in SETTINGS if key in _stored()]


def known_key(text: str) -> str:
    """The key that a text means, such as "generate.steps" for "steps".

    Raises:
        UsageError: No such key; the hint has the nearest one.
    """
    key = text if text in SETTINGS else key_of(text)
    if key in SETTINGS:
        return key
    names = {name: key for key in SETTINGS for name in (key.rpartition(".")[2], key)}
    near = [names[name] for name in get_close_matches(text.lower(), names, n=1, cutoff=0.7)]
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"unknown setting {text!r}", f"{hint}`faceid config list` shows all")


def read_setting(key: str) -> str:
    """One setting.

    Raises:
        UsageError: No such key.
        FaceIDError: The file is damaged.
    """
    return read_settings()[known_key(key)]


def write_setting(key: str, value: str) -> str:
    """Keep a setting and return the value as it was kept; paths become absolute. `api.config` checks base models.

    Raises:
        UsageError: No such key, or a value that cannot be.
        OutputError: The file cannot be written.
    """
    key = known_key(key)
    with _alone():
        kept = SETTINGS[key].check(value)
        _write(_stored() | {key: kept})
    return kept


def unset_setting(key: str) -> str:
    """Forget a setting and return the value that it has by default.

    Raises:
        UsageError: No such key.
        OutputError: The file cannot be written.
    """
    key = known_key(key)
    with _alone():
        stored = _stored()
        if key in stored:
            _write({name: value for name, value in stored.items() if name != key})
    return SETTINGS[key].default


def rendering_order(given: dict[str, Any], on_note: OnNote | None = None, without: tuple[str, ...] = ()) -> RenderOrder:
    """Make an order for pictures of what is said, and else of the user's own defaults.

    Args:
        given: Options by the names of their fields; None is nothing said.
        on_note: Told which of the defaults stand in.
        without: Options that the command has not.

    Raises:
        UsageError: Options that cannot be.
        FaceIDError: The settings are damaged.
    """
    return with_defaults(RenderOrder, given, _set_texts(), without, on_note)


def enrolment_order(given: dict[str, Any], on_note: OnNote | None = None) -> EnrolOrder:
    """Make an order to learn a person, in the same way; a default that means nothing beside what is said gives way.

    Raises:
        UsageError: Options that cannot be, or of which one leaves another without a meaning.
        FaceIDError: The settings are damaged.
    """
    check_rivals(given)
    order = with_defaults(EnrolOrder, given, _set_texts(), rivals_of(given), on_note)
    if given.get("preview") and not order.preview_every and given.get("preview_every") is None:
        raise UsageError("--preview says what samples show, and none are rendered", "such as: --preview-every 50")
    # Two defaults may contradict each other, too: what is recorded of the order can be said again.
    return order if order.detect else replace(order, face="auto", face_share=None)


def take_settings(stored: dict[str, str] | None) -> None:
    """Let this process have the settings of another machine; None for its own again."""
    global _elsewhere
    _elsewhere = stored


def stored_settings() -> dict[str, str]:
    """What the user has set, for `take_settings` on another machine. Raises as `read_settings`."""
    return dict(_stored())


def fields_with_defaults(order: type[Options]) -> set[str]:
    """Names of an order's options for which the user has another default."""
    return set_fields(order, _set_texts())


def _set_texts() -> dict[str, str]:
    return {key: text for key, text in _stored().items() if key in OPTIONS}


@contextmanager
def _alone() -> Iterator[None]:
    """Let no other process write settings meanwhile: each reads all of them, and writes all of them."""
    file = paths.config_file()
    with ExitStack() as stack:
        try:
            is_ours = stack.enter_context(locked(file.with_suffix(".lock"), _PATIENCE_SECONDS))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"cannot write {file}: {reason}", "set FACEID_HOME to a folder of yours") from error
        if not is_ours:
            raise OutputError(f"the settings in {file} are being written by another program", "try again")
        yield


def _write(stored: dict[str, str]) -> None:
    write_atomically(paths.config_file(), (json.dumps(stored, indent=2, sort_keys=True) + "\n").encode())


def _stored() -> dict[str, str]:
    if _elsewhere is not None:
        return _elsewhere
    file = paths.config_file()
    try:
        content = read_json(file)  # it may come from a backup
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise FaceIDError(f"the settings in {file} cannot be read: {error}", "correct the file or delete it") from error
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise FaceIDError(f"the settings in {file} are damaged", "correct the file or delete it")
    return {key: value for key, value in content.items() if key in SETTINGS}

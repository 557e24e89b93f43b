"""Which base model is meant, and whether it is still the one that people were learned on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from faceid_cli.errors import ModelError, ModelMismatchError, ModelNotFoundError
from faceid_cli.model_files import BUILTIN, fingerprint_of
from faceid_cli.settings import read_setting
from faceid_cli.types import Identity

OnNote = Callable[[str], None]


def chosen_source(model: str | None) -> str:
    """The base model to learn on: as given, else the user's setting; folders become absolute."""
    source = model or read_setting("model")
    folder = Path(source).expanduser()
    return str(folder.resolve()) if source != BUILTIN and folder.is_dir() else source


def source_for(people: Sequence[Identity], model: str | None, on_note: OnNote | None) -> str:
    """The base model to render people with: their own, or the one that is given.

    Raises:
        ModelNotFoundError: Their own is gone.
        ModelMismatchError: It has changed, or several people have different ones.
    """
    if model is not None:
        source = chosen_source(model)
        strangers = [person.name for person in people if person.base_fingerprint != fingerprint_of(source)]
        if strangers and on_note:
            on_note(f"learned on another base model, so expect less likeness: {', '.join(strangers)}")
        return source
    own = people[0]
    for person in people[1:]:
        if person.base_fingerprint != own.base_fingerprint:
            raise ModelMismatchError(
                f"{own.name} was learned on {own.base_model}, {person.name} on {person.base_model}",
                "enroll them on one base model, or choose one with --model",
            )
    _check_unchanged(own)
    return own.base_model


def source_of_fingerprint(source: str, fingerprint: str) -> str | None:
    """A base model on this machine with this fingerprint: the named one, the user's own or the built-in; or None."""
    for candidate in dict.fromkeys((source, chosen_source(None), BUILTIN)):
        # A hub id is not looked up here: that could start a download.
        if candidate != BUILTIN and not Path(candidate).is_dir():
            continue
        try:
            if fingerprint_of(candidate) == fingerprint:
                return candidate
        except ModelError:
            continue
    return None


def _check_unchanged(person: Identity) -> None:
    try:
        found = fingerprint_of(person.base_model)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"the base model of {person.name} is missing: {error.message}", "put it back, or choose one with --model"
        ) from error
    if found != person.base_fingerprint:
        raise ModelMismatchError(
            f"the base model {person.base_model} has changed since {person.name} was learned on it "
            f"({person.base_fingerprint} then, {found} now)",
            "put the old one back, enroll again with --replace, or accept the new one with --model",
        )

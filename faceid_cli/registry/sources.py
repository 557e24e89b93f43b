"""Which base model is meant, how it is loaded, and whether it is still the one that people were learned on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from faceid_cli.errors import FaceIDError, ModelMismatchError, ModelNotFoundError
from faceid_cli.kept.settings import read_setting
from faceid_cli.model_files import FAMILY_NAMES, family_of_fingerprint, fingerprint_of, is_here, kin_of
from faceid_cli.model_files.lora import check_lora, parse_lora
from faceid_cli.orders import ModelOptions
from faceid_cli.orders.checks import user_path
from faceid_cli.registry.base_models import find_model, named_models, scores_of, shown_source
from faceid_cli.registry.names import is_name
from faceid_cli.registry.records import FROM_BUNDLE
from faceid_cli.registry.store import Registry
from faceid_cli.types import BUILTIN, Identity, OnNote


def chosen_source(model: str | None) -> str:
    """The base model to learn on: as given or set. Names become what they stand for, paths absolute."""
    source = model or read_setting("model")
    if source == BUILTIN:
        return source
    path = user_path(source)
    if os.path.exists(path):
        return os.path.realpath(path)
    return _named_source(source) or source


def source_for(
    people: Sequence[Identity], model: str | None, on_note: OnNote | None, options: ModelOptions | None = None
) -> str:
    """The base model to render people with: their own, or the one that is given.

    A sister checkpoint, of the same family, is allowed with a note.

    Raises:
        ModelNotFoundError: Their own is gone.
        ModelMismatchError: It has changed, several people have different ones, or the given one is of another family.
    """
    if model is not None:
        source = chosen_source(model)
        fingerprint = fingerprint_of(source, options.variant if options else None)
        _check_family(people, source, fingerprint)
        strangers = [person for person in people if person.base_fingerprint != fingerprint]
        if strangers and on_note:
            names = ", ".join(person.name for person in strangers)
            on_note(f"learned on another base model, so expect less likeness: {names}")
            _note_untested(strangers, fingerprint, model, on_note)
        return source
    own = people[0]
    for person in people[1:]:
        if person.base_fingerprint != own.base_fingerprint:
            raise ModelMismatchError(
                f"{own.name} was learned on {shown_source(own.base_model)}, "
                f"{person.name} on {shown_source(person.base_model)}",
                f"enroll {person.name} again (faceid enroll {person.name} PHOTOS --replace --model "
                f"{shown_source(own.base_model)}), or choose one base model for both with --model",
            )
    _check_unchanged(own)
    return own.base_model


def options_for(
    people: Sequence[Identity], given: ModelOptions | None = None, model: str | None = None
) -> ModelOptions:
    """How to load the base model for these people: as given, and where nothing is, as they were learned.

    Args:
        people: The enrolled people whom the base model is to render together.
        given: What is said about it.
        model: Another base model than their own; a variant of files means something for their own alone.
    """
    learned = ModelOptions.learned(people[0].method) if people else ModelOptions()
    if people and model is not None and chosen_source(model) != people[0].base_model:
        learned = replace(learned, variant=None)
    if given is None:
        return learned
    return replace(
        given,
        variant=given.variant or learned.variant,
        vae=given.vae or learned.vae,
        loras=learned.loras if given.loras is None else given.loras,
    )


def checked_options(options: ModelOptions | None) -> ModelOptions:
    """The options with absolute paths.

    Raises:
        ModelError: A LoRA or VAE that is not there, or is none.
        UsageError: A scale that is no number.
    """
    if options is None:
        return ModelOptions()
    loras = options.loras
    if loras is not None:
        parsed = [parse_lora(text) for text in loras]
        for path, _ in parsed:
            check_lora(path)
        loras = tuple(f"{path.resolve()}:{scale:g}" for path, scale in parsed)
    vae = None if options.vae is None else user_path(options.vae)
    if vae is not None and not vae.exists():
        raise ModelNotFoundError(f"no VAE at {options.vae}", "give a .safetensors file, or a folder with a config.json")
    return replace(options, loras=loras, vae=None if vae is None else str(vae.resolve()))


def source_of_fingerprint(source: str, fingerprint: str) -> str | None:
    """A base model on this machine with this fingerprint, or None.

    Looked for: where the source says, the user's own, the built-in one, those with a name, and those of other people.
    """
    with Registry.open(create=False) as registry:
        known = [model.source for model in named_models(registry) if model.fingerprint == fingerprint]
        known += [person.base_model for person in registry.list() if person.base_fingerprint == fingerprint]
    for candidate in dict.fromkeys((source, chosen_source(None), BUILTIN, *known)):
        # A hub id is not looked up here: that could start a download.
        if candidate != BUILTIN and not os.path.exists(candidate):
            continue
        try:
            if fingerprint_of(candidate) == fingerprint:
                return candidate
        except FaceIDError:
            continue
    return None


def without_folders(source: str, method: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A base model's source, and a person's method, with file names where there are paths: those are nobody's business.

    Names on the hub, which are no absolute paths, stay.
    """
    learned = ModelOptions.learned(method)
    loras = tuple(f"{path.name}:{scale:g}" for path, scale in map(parse_lora, learned.loras or ()))
    vae = None if learned.vae is None else _file_name(learned.vae)
    return _file_name(source), {**method, **replace(learned, vae=vae, loras=loras).kept()}


def _file_name(source: str) -> str:
    path = PurePath(source)
    return path.name if path.is_absolute() else source


def _named_source(name: str) -> str | None:
    if not is_name(name):
        return None
    with Registry.open(create=False) as registry:
        found = find_model(registry, name)
    return found.source if found else None


def _check_family(people: Sequence[Identity], source: str, fingerprint: str) -> None:
    for person in people:
        own, family = (family_of_fingerprint(each) for each in (person.base_fingerprint, fingerprint))
        # Not of everybody it can be told whether they are at home on the built-in model's kind.
        own_kin, kin = kin_of(person.base_model, person.base_fingerprint), kin_of(source, fingerprint)
        if own == family and own_kin and kin:
            own, family = own_kin, kin
        if own and family and own != family:
            raise ModelMismatchError(
                f"{person.name} was learned on {FAMILY_NAMES[own]}, and {shown_source(source)} is "
                f"{FAMILY_NAMES[family]}: its text encoders read other tokens",
                f"choose a model of {FAMILY_NAMES[own]}, or enroll {person.name} on this one under another name",
            )


def _note_untested(people: Sequence[Identity], fingerprint: str, model: str, on_note: OnNote) -> None:
    with Registry.open(create=False) as registry:
        for person in people:
            if not any(score.fingerprint == fingerprint for score in scores_of(registry, person.id)):
                on_note(
                    f"{person.name} is untested on it; `faceid models score {person.name} --base {model}` scores it"
                )


def _is_own_choice(person: Identity) -> bool:
    """Whether the user chose a person's base model: learned the person on it, named it, or has it as the default.

    Who came from a file or a bundle brings a base model that somebody else chose; on the hub, that would be asked for
    it. A backup is taken for the user's own: it brings their names of base models, their settings and their runs back.
    """
    source = person.base_model
    with Registry.open(create=False) as registry:
        others = [each for each in registry.list() if each.base_model == source]
        is_known = any(model.source == source for model in named_models(registry))
        runs = [run for each in others for run in registry.runs_of(each.name)]
        learned = any(not run.run.settings.get(FROM_BUNDLE) for run in runs)
        return is_known or source == chosen_source(None) or learned


def _check_unchanged(person: Identity) -> None:
    variant = ModelOptions.learned(person.method).variant
    # Whose choice it was is asked last: that reads the whole registry.
    if not is_here(person.base_model, variant) and not _is_own_choice(person):
        raise ModelNotFoundError(
            f"the base model of {person.name}, {person.base_model}, is not on this machine; it was chosen by whoever "
            "made the file that they came from, so it is not fetched unasked",
            f"to fetch it: --model {person.base_model}, or once for all: faceid models add NAME {person.base_model}",
        )
    try:
        found = fingerprint_of(person.base_model, variant)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"the base model of {person.name} is missing: {error.message}", "put it back, or choose one with --model"
        ) from error
    if found != person.base_fingerprint:
        raise ModelMismatchError(
            f"the base model {shown_source(person.base_model)} has changed since {person.name} was learned on it "
            f"({person.base_fingerprint} then, {found} now)",
            "put the old one back, enroll again with --replace, or accept the new one with --model",
        )

"""Base models by name: keep, look at, set as default, and measure people on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.api.config import set_setting
from faceid_cli.api.evaluate import evaluate
from faceid_cli.api.opening import opened
from faceid_cli.builtin.words import DRAWS
from faceid_cli.errors import FaceIDError, ModelError, UsageError
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files import (
    FAMILY_NAMES,
    check_model,
    family_of_fingerprint,
    fingerprint_of,
    kin_of,
    model_path,
)
from faceid_cli.model_files.kin import read_configs
from faceid_cli.orders import ModelOptions, RenderConfig
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.kinds import fitted
from faceid_cli.registry import base_models as shelf
from faceid_cli.registry.base_models import ModelScore
from faceid_cli.registry.sources import chosen_source
from faceid_cli.registry.store import Registry
from faceid_cli.types import BUILTIN, OnNote

if TYPE_CHECKING:
    from faceid_cli.evaluation.judges import PictureJudge


@dataclass(frozen=True)
class BaseModelInfo:
    """A base model, looked at without loading it.

    Attributes:
        name: Its name in the registry; "" if it has none.
        source: What it is loaded from.
        family: "builtin", "sd1", "sd2" or "sdxl"; "" if it cannot be told.
        fingerprint: Of its weights; that of the day it was named, if it cannot be read now.
        is_default: Whether people are learned on it unless something else is said.
        problem: Why it cannot be used; "" if it can.
        details: Picture size in pixels, prediction type, width of the text: by name.
        people: Who was learned on it.
    """

    name: str
    source: str
    family: str
    fingerprint: str
    is_default: bool
    problem: str = ""
    details: dict[str, Any] | None = None
    people: tuple[str, ...] = ()

    @property
    def family_name(self) -> str:
        """The family in words."""
        return FAMILY_NAMES.get(self.family, "unknown")


def list_models() -> list[BaseModelInfo]:
    """The built-in model, and all that have a name."""
    with Registry.open(create=False) as registry:
        named = shelf.named_models(registry)
        people = registry.list()
    default = chosen_source(None)
    entries = [(BUILTIN, BUILTIN, ""), *((model.name, model.source, model.fingerprint) for model in named)]
    if default not in {source for _, source, _ in entries}:
        entries.append(("", default, ""))
    return [_info(name, source, kept, default, people) for name, source, kept in entries]


def add_model(name: str, source: str, replace: bool = False) -> BaseModelInfo:
    """Give a base model a name, under which `--model` knows it.

    Raises:
        UsageError: A name that cannot be.
        NameTakenError: It is taken.
        ModelError: Not a base model that can be used.
    """
    if name.lower() == BUILTIN:
        raise UsageError("builtin is the model that ships with faceid", "choose another name")
    path = user_path(source)
    absolute = str(path.resolve()) if source != BUILTIN and path.exists() else source
    fingerprint = fingerprint_of(absolute)
    with Registry.open() as registry:
        shelf.add_model(registry, name, absolute, fingerprint, replace)
        people = registry.list()
    return _info(name, absolute, fingerprint, chosen_source(None), people)


def remove_model(name: str) -> None:
    """Forget a base model's name; its files stay.

    Raises:
        UnknownNameError: No such name.
    """
    with Registry.open(create=False) as registry:
        shelf.remove_model(registry, name)


def model_info(model: str) -> BaseModelInfo:
    """Look at a base model: a name, a path or a hub id.

    Raises:
        ModelError: It cannot be used; the message says why.
    """
    source = chosen_source(model)
    check_model(source)
    with Registry.open(create=False) as registry:
        named = next((entry for entry in shelf.named_models(registry) if entry.source == source), None)
        people = registry.list()
    name = BUILTIN if source == BUILTIN else named.name if named else ""
    return _info(name, source, "", chosen_source(None), people, details=_details(source))


def set_default_model(model: str) -> str:
    """Make a base model, by name, path or hub id, the one that people are learned on; returns its source.

    Raises:
        ModelError: It cannot be used.
    """
    return set_setting("model", chosen_source(model))


def score_models(
    name: str,
    bases: Sequence[str] | str,
    *,
    photos: Sequence[Path | str] | Path | str = (),
    prompts: Path | str | None = None,
    config: RenderConfig | None = None,
    options: ModelOptions | None = None,
    judge: str | PictureJudge = "auto",
    clip: Path | str | None = None,
    on_picture: Callable[[str, int, int], None] | None = None,
    on_note: OnNote | None = None,
) -> list[ModelScore]:
    """Render a set of prompts with one person on several base models, score the pictures, and keep the scores.

    Args:
        name: An enrolled person.
        bases: Names, paths or hub ids, all of the person's family; empty for the person's own.
        photos: As for `evaluate`.
        prompts: As for `evaluate`.
        config: How to render.
        options: How to load them; by default as when the person was learned.
        judge: As for `evaluate`.
        clip: As for `evaluate`.
        on_picture: Called with (base model, pictures done, pictures in all).
        on_note: Called with a line worth telling the user.

    Raises:
        UnknownNameError: Nobody of that name.
        ModelMismatchError: A base model of another family.
        WeightsMissingError: The judge of photographs needs weights that are not on this machine.
    """
    with Registry.open(create=False) as registry:
        person = registry.get(name)
    wanted = list(fitted("bases", tuple[str, ...], bases)) or [person.base_model]
    # All of them, before the first takes its time. Their own is nothing that the user said.
    all_opened = [opened([person], config, base if bases else None, options) for base in wanted]
    found = []
    for base, each in zip(wanted, all_opened, strict=True):
        (result,) = evaluate(
            person.name,
            prompts=prompts,
            photos=photos,
            config=config,
            model=each.source,
            options=options,
            judge=judge,
            clip=clip,
            on_picture=None if on_picture is None else _of(base, on_picture),
        )
        summary = result.summary
        scores: dict[str, float | None] = {
            "identity": summary.identity,
            "likeness_percent": summary.likeness_percent,
            "prompt": summary.prompt,
            "identity_of_prompt": summary.identity_of_prompt,
            "one_face": summary.one_face,
        }
        fingerprint = fingerprint_of(each.source, each.loading.variant)
        with Registry.open() as registry:
            found.append(shelf.add_score(registry, person.id, fingerprint, each.source, scores))
    if on_note and all(score.scores["identity"] is None for score in found):
        on_note("the person's photos were not found, so likeness has no score: give them with --photos")
    return found


def _of(base: str, on_picture: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    return lambda _, done, total: on_picture(base, done, total)


def _info(
    name: str, source: str, kept: str, default: str, people: Sequence[Any], details: dict[str, Any] | None = None
) -> BaseModelInfo:
    problem, fingerprint = "", kept
    is_remote = source != BUILTIN and not os.path.exists(source)
    if not (is_remote and kept):  # looking for a hub id could start a download
        try:
            fingerprint = fingerprint_of(source)
        except FaceIDError as error:
            problem = error.message
        if kept and not problem and fingerprint != kept:
            problem = f"changed since it was added (it was {kept})"
    learned = tuple(person.name for person in people if fingerprint and person.base_fingerprint == fingerprint)
    family = kin_of(source, fingerprint) or family_of_fingerprint(fingerprint)
    return BaseModelInfo(name, source, family, fingerprint, source == default, problem, details, learned)


def _details(source: str) -> dict[str, Any]:
    path = model_path(source)
    configs = read_configs(path)
    with reading(path, ModelError, "copy or download the model again"):
        return _told(source, path, configs["unet"], configs["scheduler"], configs["vae"])


def _told(
    source: str, path: Path, unet: dict[str, Any], scheduler: dict[str, Any], vae: dict[str, Any]
) -> dict[str, Any]:
    factor = 2 ** (len(vae.get("block_out_channels", range(4))) - 1)
    return {
        "files": str(path),
        "size_px": int(unet.get("sample_size") or 64) * factor,
        "predicts": scheduler.get("prediction_type", "epsilon"),
        "text_width": unet.get("cross_attention_dim"),
        "latent_channels": unet.get("in_channels"),
        **({kind: list(words) for kind, words in DRAWS.items()} if source == BUILTIN else {}),
    }

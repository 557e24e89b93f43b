"""What most verbs begin with: load people, and find out which base model they are rendered with, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from faceid_cli.api.base_model import base_model
from faceid_cli.errors import RegistryError
from faceid_cli.kept.identity_file import IdentityFile, load_identity
from faceid_cli.kept.settings import read_settings
from faceid_cli.orders import ModelOptions, RenderConfig, TrainConfig
from faceid_cli.orders.composing import check_named
from faceid_cli.registry.sources import checked_options, options_for, source_for
from faceid_cli.registry.store import Registry
from faceid_cli.types import BUILTIN, Identity, IdentityTokens, OnNote

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel

Config = TypeVar("Config", RenderConfig, TrainConfig)


@dataclass(frozen=True)
class Opened:
    """People, and what they are rendered with. Nothing heavy is loaded yet.

    Attributes:
        people: In the order in which they were asked for.
        stored: Their files, by name.
        source: The base model.
        loading: How it is loaded.
        config: How to render, with device, precision and sampler settled.
    """

    people: tuple[Identity, ...]
    stored: dict[str, IdentityFile]
    source: str
    loading: ModelOptions
    config: RenderConfig

    @property
    def device(self) -> str:
        """Where the work is done."""
        return self.config.device or "auto"

    @property
    def is_builtin(self) -> bool:
        """Whether the base model is the one that ships with faceid."""
        return self.source == BUILTIN

    @property
    def digests(self) -> tuple[str, ...]:
        """Of the people's tokens, in order; equal of people who come back from a backup, or are learned alike again."""
        return tuple(self.stored[person.name].digest for person in self.people)

    def base(self, on_note: OnNote | None = None) -> BaseModel:
        """Load the base model; this brings in torch, which takes seconds.

        Raises:
            ModelError: It cannot be loaded.
            OutOfMemoryError: It does not fit.
        """
        return base_model(self.source, self.config, self.loading, on_note)

    def tokens(self) -> dict[str, IdentityTokens]:
        """The people's tokens by name; this brings in torch, too."""
        from faceid_cli.tokens import tokens_from_arrays

        return {
            name: tokens_from_arrays(file.keys, file.values, file.metadata.class_word)
            for name, file in self.stored.items()
        }


def open_people(
    names: Sequence[str],
    config: RenderConfig | None = None,
    model: str | None = None,
    options: ModelOptions | None = None,
    on_note: OnNote | None = None,
) -> Opened:
    """Look people up, read their files, and find their base model.

    Args:
        names: Of enrolled people.
        config: How to render; the defaults if None.
        model: Another base model than their own, of the same family.
        options: How to load it; where nothing is said, as when they were learned.
        on_note: Called with a line worth telling the user.

    Raises:
        UnknownNameError: Nobody of that name.
        UsageError: How to render speaks of the likeness of somebody else.
        IdentityFileError: A person's file is missing or damaged.
        ModelError: The base model is missing, has changed, is not that of all of them, or is of another family.
    """
    with Registry.open(create=False) as registry:
        people = tuple(registry.get(name) for name in names)
    return opened(people, config, model, options, on_note)


def opened(
    people: Sequence[Identity],
    config: RenderConfig | None = None,
    model: str | None = None,
    options: ModelOptions | None = None,
    on_note: OnNote | None = None,
) -> Opened:
    """The same for people who have been looked up.

    Raises:
        UsageError: How to render speaks of the likeness of somebody else.
        RegistryError: A person's entry in the registry is damaged.
        IdentityFileError, ModelError: As `open_people`.
    """
    if config is not None:
        check_named(config.likeness_of, [person.name for person in people])
    for person in people:
        if person.damaged:
            raise RegistryError(
                f"the registry's entry of {person.name} is damaged: {', '.join(person.damaged)}",
                "put a backup of the registry back, or enroll again with --replace",
            )
    stored = {person.name: load_identity(person.path) for person in people}
    loading = options_for(people, None if options is None else checked_options(options), model)
    source = source_for(people, model, on_note, loading)
    config = on_machine(config or RenderConfig()).suiting(source == BUILTIN)
    return Opened(tuple(people), stored, source, loading, config)


def on_machine(config: Config) -> Config:
    """Settings with device and precision, from the user's own settings where nothing is said."""
    mine = read_settings()
    return replace(config, device=config.device or mine["device"], precision=config.precision or mine["precision"])

"""What goes into the registry and comes out of it, checked before it gets near the database.

Table classes of SQLModel do not validate, so these plain dataclasses do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.kept.identity_file import IdentityMetadata
from faceid_cli.registry.names import check_name

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_tags(tags: Sequence[str]) -> None:
    """Raise UsageError for what is not a tag."""
    for tag in tags:
        if not tag.strip() or "," in tag:
            raise UsageError(f"{tag!r} is not a tag", "a tag is a word or a few, without commas")


@dataclass(frozen=True)
class NewIdentity:
    """An identity that is about to be kept; the registry gives it an id, a file and a date.

    Raises:
        InvalidNameError: The name is not allowed.
        UsageError: Any other field that cannot be kept.
    """

    name: str
    class_word: str
    base_model: str
    base_fingerprint: str
    method: dict[str, Any]
    photo_hashes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    note: str = ""
    consent: str = ""
    num_train_timesteps: int = 1000

    def __post_init__(self) -> None:
        check_name(self.name)
        for label, value in (
            ("class word", self.class_word),
            ("base model", self.base_model),
            ("base model's fingerprint", self.base_fingerprint),
        ):
            if not value.strip():
                raise UsageError(f"the {label} is empty")
        for digest in self.photo_hashes:
            if not _SHA256.fullmatch(digest):
                raise UsageError(f"{digest!r} is not a SHA-256 digest")
        check_tags(self.tags)

    def metadata(self) -> IdentityMetadata:
        """What the file of the identity says about itself."""
        extra: dict[str, Any] = {"tags": list(self.tags)} if self.tags else {}
        return IdentityMetadata(
            name=self.name,
            class_word=self.class_word,
            base_model=self.base_model,
            base_fingerprint=self.base_fingerprint,
            method=self.method,
            photo_hashes=self.photo_hashes,
            note=self.note,
            extra=extra | ({"consent": self.consent} if self.consent else {}),
            num_train_timesteps=self.num_train_timesteps,
        )


FROM_BUNDLE = "from_bundle"
"""Among a run's settings: it was not on this machine, so whoever made the bundle chose the base model."""


@dataclass(frozen=True)
class NewRun:
    """A finished training run.

    Attributes:
        settings: Everything the run was started with.
        losses: One (reconstruction, attention) pair per step.
        seconds: Wall-clock time of the training, all of its parts together where it was resumed.
        resumed_from: The step it went on from, or 0.
        scores: Measurements of the result, by name.
    """

    settings: dict[str, Any]
    losses: tuple[tuple[float, float], ...]
    seconds: float
    resumed_from: int = 0
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A training run as the registry knows it."""

    id: int
    created: str
    run: NewRun


@dataclass(frozen=True)
class NewRender:
    """A picture that was made.

    Attributes:
        identity_ids: Ids of the people in it, in the order of the prompt.
        path: Where it was written.
        prompt: As the user wrote it.
        seed: Of its noise.
        settings: Everything else that is needed to make it again.
    """

    identity_ids: tuple[str, ...]
    path: Path
    prompt: str
    seed: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class RenderRecord:
    """A render as the registry knows it."""

    id: int
    created: str
    render: NewRender

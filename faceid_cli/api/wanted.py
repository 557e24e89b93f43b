"""One picture of many: what it needs to be rendered, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

from faceid_cli.api.loaded import base_key
from faceid_cli.api.opening import Opened
from faceid_cli.errors import FaceIDError
from faceid_cli.jobs.expand import Job
from faceid_cli.jobs.rows import Row
from faceid_cli.orders import MAX_SEED, RenderConfig, RenderOrder
from faceid_cli.orders.option import leaves
from faceid_cli.types import Render

_NEXT_TRY = 1_000_003
"""From one try to the next the seed goes so far, so that it does not meet those of other pictures."""
RENDERED, THERE, REJECTED, FAILED = "rendered", "there", "rejected", "failed"
_OF_TEXT = {name: default for name, (asked, _, default) in leaves(RenderConfig).items() if asked.is_of_text}


@dataclass(frozen=True)
class Wanted:
    """A picture that is to be rendered.

    Attributes:
        job: Its row, seed and name.
        opened: Its people, and what they are rendered with.
        order: With names and machine settled.
        prompt: Normalised, people as `<name>`.
        files: Embeddings of others, by the words that stand for them.
        request: The hash that it is known by.
        attempt: Which of the seeds is tried, from 0.
        retries: How many times it may fail before it has failed.
        chosen: How its likeness was chosen, where `--auto` did.
        target: An existing file that it takes the place of; None for a new one.
    """

    job: Job
    opened: Opened
    order: RenderOrder
    prompt: str
    files: dict[str, Path]
    request: str
    attempt: int = 0
    retries: int = 0
    chosen: str = ""
    target: Path | None = None

    @property
    def seed(self) -> int:
        """Of this try."""
        return (self.job.seed + self.attempt * _NEXT_TRY) % (MAX_SEED + 1)

    @cached_property
    def path(self) -> Path:
        """The name that its file is to have."""
        return replace(self.job, seed=self.seed).path

    @property
    def ids(self) -> tuple[str, ...]:
        """Of its people."""
        return tuple(person.id for person in self.opened.people)

    @property
    def base(self) -> Hashable:
        """Equal for pictures of one base model."""
        return base_key(self.opened)

    @property
    def sampling(self) -> Hashable:
        """Equal for pictures of one base model that can share a batch: all but their prompts, people and seeds."""
        order = self.order
        return _sampling(order.config), tuple(order.files.items()), order.face, order.control


@lru_cache(maxsize=1024)
def _sampling(config: RenderConfig) -> RenderConfig:
    return replace(config, **_OF_TEXT)


@dataclass(frozen=True)
class Outcome:
    """What came of a picture.

    Attributes:
        status: "rendered"; "there" for one that had been before; "rejected" for one that is not like the person, after
            which another seed is tried; "failed".
        job: Its row, seed and name; None of a row of which nothing can be made.
        path: Its file, or None.
        error: Why it failed, or None.
        seed: With which it was made, or was to be.
        similarity: To the person's photos, where a least one was asked for; else None.
        render: The picture with its settings, where it was rendered just now; else None.
        row: What its row said, where that is why it failed.
    """

    status: str
    job: Job | None
    path: Path | None = None
    error: FaceIDError | None = None
    seed: int | None = None
    similarity: float | None = None
    render: Render | None = field(default=None, repr=False)
    row: Row | None = None


OnOutcome = Callable[[Outcome], None]
"""Called with each picture as it is finished."""

"""What learns people in another process or on another machine: orders come by value, and what was learned goes back.

Photos are read there, from the paths that the orders name. The registry is where the orders come from.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from faceid_cli.api.at_work import Told, check_same_base, not_here, settle_in
from faceid_cli.api.learning import Learning
from faceid_cli.api.preparing import Prepared
from faceid_cli.errors import FaceIDError, ModelNotFoundError, PhotoNotFoundError
from faceid_cli.kept.runs import discard_checkpoint, previews_folder
from faceid_cli.orders import EnrolOrder
from faceid_cli.types import IdentityTokens, TrainReport
from faceid_cli.workers.pool import Place

if TYPE_CHECKING:
    import numpy as np

    from faceid_cli.registry.keeping import Outcome


@dataclass(frozen=True)
class Pupil:
    """Somebody who is to be learned.

    Attributes:
        number: As what becomes of them is called.
        order: As `checked_order` returned it.
        source: The base model.
        fingerprint: Of the base model, as it is where the order comes from.
    """

    number: int
    order: EnrolOrder
    source: str
    fingerprint: str


@dataclass(frozen=True)
class Class:
    """Some people, and how many of them share a pass at most."""

    pupils: tuple[Pupil, ...]
    together: int | None


@dataclass(frozen=True)
class Learned:
    """Somebody who was learned.

    Attributes:
        number: Of the pupil.
        order: Everything in it settled.
        keys: See `kept.identity_file.IdentityFile`.
        values: The same.
        outcome: All else that is kept, its tokens left out.
        photo_keys: Of the photos that what the person said would speak of.
        previews: Samples that were rendered on the way, by file name.
    """

    number: int
    order: EnrolOrder
    keys: Mapping[str, np.ndarray]
    values: Mapping[str, np.ndarray]
    outcome: Outcome
    photo_keys: tuple[str, ...]
    previews: Mapping[str, bytes]


@dataclass(frozen=True)
class NotLearned:
    """Somebody who was not, and why."""

    number: int
    error: FaceIDError


@dataclass
class Taught:
    """What came of a class; notes are lines worth telling the user."""

    events: list[Learned | NotLearned] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class LearningWorker:
    """Learns classes; keeps the base model between them.

    Args:
        place: Where it works.
        told: What all workers are told.
    """

    def __init__(self, place: Place, told: Told) -> None:
        settle_in(place, told)
        self._place, self._told, self._taught = place, told, Taught()
        self._numbers: dict[str, int] = {}
        self._learnings: dict[int | None, Learning[int]] = {}

    def __call__(self, task: Class) -> Taught:
        """Learn a class.

        Raises:
            WorkersError: The base model is not on this machine.
            ModelMismatchError: It is another one than where the orders come from.
        """
        self._taught = Taught()
        self._numbers = {pupil.order.name: pupil.number for pupil in task.pupils}
        learning = self._learning(task.together)
        for pupil in task.pupils:
            learning.add(pupil.number, self._here(pupil.order), pupil.source)
            if learning.fingerprint:
                check_same_base(pupil.source, learning.fingerprint, pupil.fingerprint)
        learning.finish()
        return self._taught

    def _learning(self, together: int | None) -> Learning[int]:
        if together not in self._learnings:
            self._learnings.clear()  # each holds a base model
            self._learnings[together] = Learning(
                together, self._enrolled, self._failed, None, self._taught_note, self._kept
            )
        return self._learnings[together]

    def _here(self, order: EnrolOrder) -> EnrolOrder:
        if self._place.device is None or order.config.device == self._place.device:
            return order
        return replace(order, config=replace(order.config, device=self._place.device))

    def _kept(self, prepared: Prepared, tokens: IdentityTokens, report: TrainReport) -> Learned:
        """What goes back in the place of somebody in the registry."""
        from faceid_cli.tokens import arrays_from_tokens

        keys, values = arrays_from_tokens(tokens)
        folder = previews_folder(prepared.folder)
        previews = {path.name: path.read_bytes() for path in sorted(folder.glob("preview-*.png"))}
        number = self._numbers[prepared.order.name]
        outcome = prepared.outcome(tokens, report)
        return Learned(number, prepared.order, keys, values, outcome, prepared.photo_keys, previews)

    def _enrolled(self, number: int, learned: Learned, report: TrainReport) -> None:
        nobody = replace(learned.outcome.tokens, keys={}, values={})  # arrays travel better than tensors
        self._taught.events.append(replace(learned, outcome=replace(learned.outcome, tokens=nobody)))
        discard_checkpoint(learned.order.name)

    def _failed(self, number: int, error: FaceIDError) -> None:
        if isinstance(error, ModelNotFoundError):
            raise not_here(error) from error
        if platform.node() != self._told.host and isinstance(error, PhotoNotFoundError):
            error.hint = f"it is missing on {platform.node()}: photos have to be at the same path on all machines"
        self._taught.events.append(NotLearned(number, error))

    def _taught_note(self, line: str) -> None:
        self._taught.notes.append(line)

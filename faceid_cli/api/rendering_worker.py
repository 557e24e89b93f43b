"""What renders in another process or on another machine: rows come by value, and pictures go back as finished files.

There is no registry there, and nothing is written: people, what they are compared with, and the user's settings come
with the rows.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from faceid_cli.api.at_work import SAME_PATH, Told, check_same_base, not_here, settle_in
from faceid_cli.api.loaded import Loaded
from faceid_cli.api.mixing import Mixer
from faceid_cli.api.opening import Opened
from faceid_cli.api.saving import OnFailed, OnSaved
from faceid_cli.api.wanted import Outcome, Wanted
from faceid_cli.errors import FaceIDError, ModelNotFoundError, PhotoNotFoundError
from faceid_cli.rendering.metadata import picture_bytes
from faceid_cli.rendering.record import metadata_of
from faceid_cli.types import Render, RenderRequest
from faceid_cli.workers.pool import Place

if TYPE_CHECKING:
    from faceid_cli.evaluation.likeness import Likeness


@dataclass(frozen=True)
class Portion:
    """Pictures that share a batch, as far as can be known before their prompts are encoded.

    Attributes:
        pictures: All of one base model, and sampled alike.
        kinds: Of their files: "png", "jpeg" or "webp".
        fingerprint: Of the base model, as it is where they come from.
        likenesses: What people are compared with, by id.
    """

    pictures: tuple[Wanted, ...]
    kinds: tuple[str, ...]
    fingerprint: str
    likenesses: Mapping[str, Likeness | None] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """What travels: of each picture's two orders, as it was given and as it was settled, the latter alone."""
        light = tuple(replace(each, job=replace(each.job, order=each.order)) for each in self.pictures)
        return {**self.__dict__, "pictures": light}


@dataclass(frozen=True)
class Made:
    """A picture that was rendered.

    Attributes:
        number: Which of the portion.
        data: Its file.
        request: See `Render`.
        settings: See `Render`.
        is_rejected: Whether it is not like its people.
    """

    number: int
    data: bytes
    request: RenderRequest
    settings: dict[str, Any]
    is_rejected: bool


@dataclass(frozen=True)
class Failed:
    """A picture that failed, and why."""

    number: int
    error: FaceIDError


@dataclass(frozen=True)
class Again:
    """A picture that is to be tried again, see `Wanted`."""

    number: int
    attempt: int
    retries: int


@dataclass
class Returned:
    """What came of a portion.

    Attributes:
        events: In the order in which they came.
        notes: Lines worth telling the user.
    """

    events: list[Made | Failed | Again] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class RenderingWorker:
    """Renders portions; keeps the base model between them.

    Args:
        place: Where it works.
        told: What all workers are told.
    """

    def __init__(self, place: Place, told: Told) -> None:
        settle_in(place, told)
        self._place, self._told = place, told
        self._returned, self._portion = Returned(), Portion((), (), "")
        self._numbers: dict[int, int] = {}
        self._mixer = Mixer(Loaded(self._note), self, self._outcome, self._note, tries_here=False)

    def __call__(self, portion: Portion) -> Returned:
        """Render a portion.

        Raises:
            WorkersError: The base model is not on this machine.
            ModelMismatchError: It is another one than where the rows come from.
        """
        self._returned, self._portion = Returned(), portion
        self._numbers = {each.job.index: number for number, each in enumerate(portion.pictures)}
        self._mixer.loaded.likenesses = portion.likenesses
        pictures = self._here(portion.pictures)
        self._check_base(pictures[0].opened)
        self._mixer.render_once(pictures)
        for each in self._mixer.results.taken_again():
            self._returned.events.append(Again(self._numbers[each.job.index], each.attempt, each.retries))
        return self._returned

    def put(self, picture: Render, wanted: Wanted, is_rejected: bool, on_saved: OnSaved, on_failed: OnFailed) -> None:
        """See `results.Sink`."""
        number = self._numbers[wanted.job.index]
        try:
            if self._told.is_signed:
                data = picture_bytes(picture.image, None)
            else:
                metadata = metadata_of(picture, wanted.ids)
                data = picture_bytes(picture.image, metadata, self._portion.kinds[number], wanted.order.metadata)
        except FaceIDError as error:
            on_failed(error)
            return
        self._returned.events.append(Made(number, data, picture.request, picture.settings, is_rejected))

    def finished(self) -> None:
        """See `results.Sink`."""

    def _outcome(self, outcome: Outcome) -> None:
        """Of pictures that failed; the others are put."""
        if outcome.error is not None and outcome.job is not None:
            if platform.node() != self._told.host and isinstance(
                outcome.error, ModelNotFoundError | PhotoNotFoundError
            ):
                outcome.error.hint = f"it is missing on {platform.node()}: {SAME_PATH}"
            self._returned.events.append(Failed(self._numbers[outcome.job.index], outcome.error))

    def _note(self, line: str) -> None:
        self._returned.notes.append(line)

    def _here(self, pictures: tuple[Wanted, ...]) -> list[Wanted]:
        """The pictures with the worker's own device, where it has one."""
        device = self._place.device
        if device is None or all(each.opened.config.device == device for each in pictures):
            return list(pictures)
        opened: dict[int, Opened] = {}
        found = []
        for each in pictures:
            config = replace(each.order.config, device=device)
            opened.setdefault(id(each.opened), replace(each.opened, config=replace(each.opened.config, device=device)))
            found.append(replace(each, opened=opened[id(each.opened)], order=replace(each.order, config=config)))
        return found

    def _check_base(self, opened: Opened) -> None:
        try:
            base, _ = self._mixer.loaded.base_of(opened)
        except ModelNotFoundError as error:
            raise not_here(error) from error
        except FaceIDError:  # told of each picture by the mixer, which tries once more
            return
        check_same_base(opened.source, base.fingerprint, self._portion.fingerprint)

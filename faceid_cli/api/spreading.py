"""Rendering by workers: cuts what is wanted into portions, and sees to what comes back. Needs no torch."""

from __future__ import annotations

import platform
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from faceid_cli.api.at_work import MOST_LOSSES, Told, lost_over
from faceid_cli.api.composing import cast_of
from faceid_cli.api.loaded import Loaded
from faceid_cli.api.mixing import grouped
from faceid_cli.api.rendering_worker import Again, Failed, Made, Portion, RenderingWorker, Returned
from faceid_cli.api.results import Results
from faceid_cli.api.wanted import Wanted
from faceid_cli.errors import FaceIDError, UsageError
from faceid_cli.kept.settings import stored_settings
from faceid_cli.model_files import fingerprint_of
from faceid_cli.orders.rendering import SUFFIXES
from faceid_cli.orders.workers import WorkersOrder
from faceid_cli.rendering.encoded import EncodedRender
from faceid_cli.types import OnNote
from faceid_cli.workers.opening import opened_pool
from faceid_cli.workers.pool import Pool
from faceid_cli.workers.queue import Queue

if TYPE_CHECKING:
    from faceid_cli.evaluation.likeness import Likeness


def render_spread(
    pictures: Sequence[Wanted], where: WorkersOrder, results: Results, on_note: OnNote, is_signed: bool
) -> None:
    """Render pictures by workers.

    Args:
        pictures: At least one.
        where: Who the workers are.
        results: Told of what comes of each picture.
        on_note: Called with a line worth telling the user.
        is_signed: Whether pictures are to be marked and signed here.

    Raises:
        UsageError: Ray is not installed.
        WorkersError: Workers cannot be had, or have not what they need.
        OutputError: A picture cannot be written.
    """
    device = "cpu" if all(each.opened.device == "cpu" for each in pictures) else "auto"
    told = Told(stored_settings(), platform.node(), is_signed)
    with opened_pool(where, RenderingWorker, told, device, on_note) as pool:
        Spreading(pool, Loaded(on_note), results, on_note, is_signed).render(pictures)


class Spreading:
    """Gives pictures to a pool of workers.

    Args:
        pool: The workers.
        loaded: Finds what people are compared with.
        results: Told of what comes of each picture.
        on_note: Called with a line worth telling the user.
        is_signed: Whether they return pictures without words, to be signed here.
    """

    def __init__(self, pool: Pool, loaded: Loaded, results: Results, on_note: OnNote, is_signed: bool = False) -> None:
        self._loaded, self._results, self._on_note, self._is_signed = loaded, results, on_note, is_signed
        self._queue: Queue[Portion, Returned] = Queue(pool, self._take, self._lost, on_note, results.finished)
        self._portions: Iterator[Portion] = iter(())
        self._fingerprints: dict[Hashable, str] = {}

    def render(self, pictures: Iterable[Wanted]) -> None:
        """Render all of them. Raises as `render_spread`."""
        self._portions = self._cut(pictures)
        self._queue.run(self._following)

    def _following(self) -> Portion | None:
        """The next portion; of those that are to be tried again once there are no others."""
        portion = next(self._portions, None)
        if portion is None and self._results.again:
            self._portions = self._cut(self._results.taken_again())
            portion = next(self._portions, None)
        return portion

    def _cut(self, pictures: Iterable[Wanted]) -> Iterator[Portion]:
        """Portions of a batch each, those of one base model together: the batches that `Mixer` would make."""
        for same_base in grouped(pictures, lambda each: each.base):
            for alike in grouped(same_base, lambda each: each.sampling):
                size, batches = alike[0].order.config.batch_size, dict[Hashable, list[Wanted]]()
                for picture in alike:
                    batch = batches.setdefault(_shape(picture), [])
                    batch.append(picture)
                    if len(batch) >= size:
                        yield from self._portion(batches.pop(_shape(picture)))
                for batch in batches.values():
                    yield from self._portion(batch)

    def _portion(self, batch: Sequence[Wanted]) -> Iterator[Portion]:
        """Those of a batch that workers can render; the others have failed."""
        pictures: list[Wanted] = []
        likenesses: dict[str, Likeness | None] = {}
        for picture in batch:
            try:
                likenesses |= self._likenesses(picture)
            except FaceIDError as error:
                self._results.failed(picture, error)
                continue
            pictures.append(picture)
        if pictures:
            suffixes = ((each.target or each.path).suffix.lower() for each in pictures)
            kinds = tuple(
                SUFFIXES.get(suffix, each.order.format) for suffix, each in zip(suffixes, pictures, strict=True)
            )
            yield Portion(tuple(pictures), kinds, self._fingerprint(pictures[0]), likenesses)

    def _likenesses(self, picture: Wanted) -> dict[str, Likeness | None]:
        """What a picture's people are compared with, where somebody compares; their photos are here alone."""
        order = picture.order
        if order.auto:
            raise UsageError("--auto is not for several devices or machines", "choose --likeness yourself")
        found: dict[str, Likeness | None] = {}
        if cast_of(order, picture.opened, picture.prompt) is not None:
            checking = self._loaded.checking_of(picture.opened, order)
            found |= {} if checking is None else checking.likenesses
        if order.min_likeness is not None:
            found |= self._loaded.threshold_of(picture.opened, order.min_likeness).known
        return found

    def _fingerprint(self, picture: Wanted) -> str:
        key = picture.opened.source, picture.opened.loading.variant
        if key not in self._fingerprints:
            self._fingerprints[key] = fingerprint_of(*key)
        return self._fingerprints[key]

    def _take(self, portion: Portion, returned: Returned) -> None:
        for note in returned.notes:
            self._on_note(note)
        for event in returned.events:
            wanted = portion.pictures[event.number]
            if isinstance(event, Made):
                kind = "png" if self._is_signed else portion.kinds[event.number]
                picture = EncodedRender(event.data, kind, event.request, event.settings)
                self._results.put(picture, wanted, event.is_rejected)
            elif isinstance(event, Failed):
                self._results.failed(replace(wanted, retries=0), event.error)
            elif isinstance(event, Again):
                self._results.again.append(replace(wanted, attempt=event.attempt, retries=event.retries))

    def _lost(self, portion: Portion, times: int, why: str) -> Sequence[Portion]:
        """A portion is given out again; at the second time picture by picture, to find the one that it may lie at."""
        if times >= MOST_LOSSES:
            error = lost_over("it", times, why)
            for picture in portion.pictures:
                self._results.failed(replace(picture, retries=0), error)
            return ()
        if times < MOST_LOSSES - 1:
            return (portion,)
        return [
            replace(portion, pictures=(picture,), kinds=(kind,))
            for picture, kind in zip(portion.pictures, portion.kinds, strict=True)
        ]


def _shape(picture: Wanted) -> Hashable:
    """What prompts of one batch share, as far as that can be known without encoding them."""
    stages = tuple(next(iter(file.keys.values())).shape[0] for file in picture.opened.stored.values())
    return (
        max(stages, default=0),
        len(picture.order.names),
        picture.order.config.layout,
        bool(picture.order.config.region),
    )

"""Learning many people by workers: cuts them into classes, and keeps in the registry who comes back."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from faceid_cli.api.at_work import MOST_LOSSES, Told, lost_over
from faceid_cli.api.learning_worker import Class, Learned, LearningWorker, Pupil, Taught
from faceid_cli.errors import FaceIDError
from faceid_cli.kept.runs import checkpoint_dir
from faceid_cli.kept.settings import stored_settings
from faceid_cli.model_files import fingerprint_of
from faceid_cli.orders import EnrolOrder, is_people_word
from faceid_cli.orders.people import MOST_TOGETHER
from faceid_cli.orders.workers import WorkersOrder
from faceid_cli.registry.consent import known_consent
from faceid_cli.types import Identity, OnNote, TrainReport
from faceid_cli.workers.opening import opened_pool
from faceid_cli.workers.pool import AHEAD
from faceid_cli.workers.queue import Queue

OnLearned = Callable[[int, Identity, TrainReport], None]
OnFailed = Callable[[int, FaceIDError], None]


def learn_spread(
    people: Sequence[tuple[EnrolOrder, str]],
    where: WorkersOrder,
    together: int | None,
    on_learned: OnLearned,
    on_failed: OnFailed,
    on_note: OnNote,
) -> None:
    """Learn people by workers.

    Args:
        people: At least one: orders as `checked_order` returned them, and base models.
        where: Who the workers are.
        together: How many share a pass at most; None for as many as suit the base model.
        on_learned: Called with the number of each person who is in the registry now.
        on_failed: Called with the number of each person who is not, and why.
        on_note: Called with a line worth telling the user.

    Raises:
        UsageError: Ray is not installed.
        WorkersError: Workers cannot be had, or have not what they need.
    """
    device = "cpu" if all(order.config.device == "cpu" for order, _ in people) else "auto"
    told = Told(stored_settings(), platform.node())
    waiting: list[Pupil] = []

    def take(task: Class, taught: Taught) -> None:
        for note in taught.notes:
            on_note(note)
        for event in taught.events:
            if not isinstance(event, Learned):
                on_failed(event.number, event.error)
                continue
            pupil = next(each for each in task.pupils if each.number == event.number)
            try:
                identity = _kept(event, pupil)
            except FaceIDError as error:
                on_failed(event.number, error)
            else:
                on_learned(event.number, identity, event.outcome.report)

    def lost(task: Class, times: int, why: str) -> Sequence[Class]:
        if times >= MOST_LOSSES:
            error = lost_over("it", times, why)
            for pupil in task.pupils:
                on_failed(pupil.number, error)
            return ()
        if times < MOST_LOSSES - 1:
            return (task,)
        return [replace(task, pupils=(pupil,)) for pupil in task.pupils]

    with opened_pool(where, LearningWorker, told, device, on_note) as pool:
        for number, (order, source) in enumerate(people):
            variant = order.options.variant if order.options else None
            waiting.append(Pupil(number, order, source, fingerprint_of(source, variant)))
        workers = max(1, pool.room // AHEAD)
        size = max(1, min(together or MOST_TOGETHER, -(-len(waiting) // workers)))
        classes = _classes(waiting, size, together)
        Queue(pool, take, lost, on_note).run(lambda: next(classes, None))


def _classes(pupils: Sequence[Pupil], size: int, together: int | None) -> Iterator[Class]:
    """People of one base model, so many at a time."""
    by_base: dict[str, list[Pupil]] = {}
    for pupil in pupils:
        by_base.setdefault(pupil.source, []).append(pupil)
    for alike in by_base.values():
        for start in range(0, len(alike), size):
            yield Class(tuple(alike[start : start + size]), together)


def _kept(learned: Learned, pupil: Pupil) -> Identity:
    """Keep somebody who was learned elsewhere.

    Raises:
        NameTakenError, RegistryError, OutputError: Nothing is kept then.
    """
    from faceid_cli.registry.keeping import keep
    from faceid_cli.tokens import tokens_from_arrays

    order, outcome = learned.order, learned.outcome
    if order.consent is None and is_people_word(order.config.class_word):  # which only this machine can know
        order = replace(order, consent=known_consent(learned.photo_keys))
    tokens = tokens_from_arrays(learned.keys, learned.values, order.config.class_word)
    said = () if order.consent is None else learned.photo_keys
    outcome = replace(outcome, tokens=tokens, consent_photos=said)
    with tempfile.TemporaryDirectory(prefix="faceid-") as folder:
        for name, content in learned.previews.items():
            (Path(folder) / name).write_bytes(content)
        previews = Path(folder) if learned.previews else None
        return keep(order, pupil.source, pupil.fingerprint, outcome, previews, checkpoint_dir(order.name))

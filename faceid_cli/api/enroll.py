"""Enrolling: from photo files to a person in the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceid_cli.api.base_model import base_model, begin_loading
from faceid_cli.api.preparing import AskConsent, Prepared, checked_order, prepare
from faceid_cli.errors import InterruptedRunError, OutOfMemoryError
from faceid_cli.faces.finder import enrolment_finder
from faceid_cli.kept.runs import claimed_run, is_interrupted
from faceid_cli.kept.settings import enrolment_order
from faceid_cli.orders import EnrolOrder
from faceid_cli.orders.signatures import takes
from faceid_cli.registry.names import check_name
from faceid_cli.registry.store import Registry
from faceid_cli.types import BUILTIN, Identity, IdentityTokens, OnNote, OnPreviewFile, StepReport, TrainReport

OnStep = Callable[[StepReport], None]


@takes(EnrolOrder, without=("name", "photos"))
def enroll(
    name: str,
    photos: Sequence[Path | str] | Path | str,
    *,
    sheet: Path | str | None = None,
    on_preview: OnPreviewFile | None = None,
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
    **options: Any,
) -> Identity:
    """Learn a person from photo files and keep them in the registry.

    Args:
        name: Letters, digits, "-" and "_", 1 to 64.
        photos: Files and folders, one or several.
        sheet: Where to write the numbered faces if it is not clear which one is meant; None for nowhere.
        on_preview: Called with (steps done, file) when a sample was written.
        on_step: Called after every step.
        on_note: Called with a line worth telling the user.
        options: Of `EnrolOrder`, by name.

    Raises:
        InvalidNameError, NameTakenError, PhotoError, ModelError, CheckpointError, InterruptedRunError, ...
    """
    order = enrolment_order({"name": name, "photos": photos, **options}, on_note)
    return enroll_order(order, sheet, on_preview, on_step, on_note or (lambda line: None))


def enroll_order(
    order: EnrolOrder,
    sheet: Path | str | None,
    on_preview: OnPreviewFile | None,
    on_step: OnStep | None,
    on_note: OnNote,
    ask_consent: AskConsent | None = None,
) -> Identity:
    """Check everything that is quick to check, look at the photos, train, and keep; see `enroll`.

    `ask_consent` is called when nothing is left that could be wrong with the order: of people, where the order does not
    say what they said, and where that is not known of the same photos.
    """
    if (there := already_enrolled(order)) is not None:
        return there
    order, source = checked_order(order, on_note)
    with claimed_run(order.name) as folder:
        config = order.config
        begin_loading(source, order.options)
        finder = enrolment_finder(source == BUILTIN, config.device, order.detect and order.box is None)
        base = base_model(source, config, order.options, on_note)
        said = _on_start(order, folder)
        prepared = prepare(order, source, base, finder, folder, on_note, sheet, on_preview, ask_consent)
        if not prepared.resume and said:
            on_note(said)
        try:
            tokens, report, prepared = _trained(prepared, on_step, on_note)
        except KeyboardInterrupt as error:
            raise InterruptedRunError(f"the enrolment of {order.name} was stopped", "start it again") from error
        return prepared.keep(tokens, report)


def _trained(
    prepared: Prepared, on_step: OnStep | None, on_note: OnNote
) -> tuple[IdentityTokens, TrainReport, Prepared]:
    """Train. With `--batch auto` a run that is out of memory begins anew with half of its batch.

    Raises:
        OutOfMemoryError: The batch does not fit; it names one that does, if there is one.
    """
    from faceid_cli.training.loop import train_identity

    while True:
        lesson, base = prepared.lesson, prepared.base
        try:
            tokens, report = train_identity(
                base,
                lesson.crops,
                lesson.config,
                lesson.checkpoint_dir,
                lesson.resume,
                on_step,
                lesson.preview_every,
                lesson.on_preview,
                on_note,
            )
            return tokens, report, prepared
        except OutOfMemoryError as error:
            problem = OutOfMemoryError(error.message, error.hint)  # without what the error holds on to
        size = lesson.config.batch_size // 2
        if size == 0:
            raise problem
        if not prepared.order.fit_batch:
            raise _refused(prepared, size, problem)
        on_note(f"out of memory: the enrolment begins anew with batch {size}")
        order = replace(prepared.order, config=replace(lesson.config, batch_size=size))
        prepared = replace(prepared, order=order).anew()


def _refused(prepared: Prepared, size: int, problem: OutOfMemoryError) -> OutOfMemoryError:
    """The error for a batch that does not fit: it names the largest one below that does."""
    from faceid_cli.training.fitting import fitting_batch

    config = replace(prepared.order.config, batch_size=size)
    try:
        size = fitting_batch(prepared.base, prepared.crops, config)
    except OutOfMemoryError as error:
        return OutOfMemoryError(problem.message, error.hint)
    return OutOfMemoryError(problem.message, f"--batch {size} fits: try that, or --batch auto, which finds it")


def already_enrolled(order: EnrolOrder) -> Identity | None:
    """Who is there already, where the order is content with that; their photos and settings may be others.

    Raises:
        InvalidNameError: The name is not allowed.
    """
    if not order.if_missing:
        return None
    check_name(order.name)
    with Registry.open(create=False) as registry:
        return registry.find(order.name)


def _on_start(order: EnrolOrder, folder: Path) -> str:
    """What to say of an enrolment that begins: what an interrupted one left is deleted."""
    if order.resume:
        return f"there is nothing to resume, so the enrolment of {order.name} begins"
    if is_interrupted(folder):
        return f"starting anew: the interrupted enrolment of {order.name} is given up (--resume would go on with it)"
    return ""

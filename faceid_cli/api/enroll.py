"""Enrolling: from photo files to a person in the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.api.opening import on_machine
from faceid_cli.errors import InterruptedRunError
from faceid_cli.faces.account import faces_hint, lines_on
from faceid_cli.faces.cutting import IntakeOptions
from faceid_cli.faces.finder import enrolment_finder
from faceid_cli.faces.holding_out import hold_out
from faceid_cli.faces.intake import Intake, take_in
from faceid_cli.faces.sheets import mask_of
from faceid_cli.kept.runs import (
    check_home_writable,
    claimed_run,
    give_up,
    is_interrupted,
    keep_consent,
    kept_consent,
    previews_folder,
)
from faceid_cli.kept.settings import enrolment_order
from faceid_cli.model_files import check_model
from faceid_cli.orders import EnrolOrder, TrainConfig, is_people_word
from faceid_cli.orders.option import takes
from faceid_cli.photo_files import find_photos
from faceid_cli.registry.consent import known_consent, photo_key
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import check_tags
from faceid_cli.registry.rows import name_taken
from faceid_cli.registry.sources import checked_options, chosen_source
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.prompts import place_people
from faceid_cli.types import BUILTIN, FaceCrop, Identity, OnNote, OnPreviewFile, StepReport

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel

OnStep = Callable[[StepReport], None]
AskConsent = Callable[[], str | None]
"""Asks what the person said to being learned; "" for nothing, None where nobody can be asked."""

FIRST_TIME_NOTE = (
    "base model: the built-in one, which draws illustrated portraits; for photographs choose a Stable Diffusion "
    "checkpoint: faceid config set model FILE_OR_FOLDER"
)


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
    order, source = _checked(order, on_note)
    with claimed_run(order.name) as folder:
        # These bring in torch, which takes seconds.
        from faceid_cli.backbone import load_base_model
        from faceid_cli.registry.keeping import Outcome, keep
        from faceid_cli.rendering.previews import Previews
        from faceid_cli.training.checkpoint import FILE_NAME
        from faceid_cli.training.initial import settled
        from faceid_cli.training.loop import train_identity

        config, loading = order.config, order.options
        finder = enrolment_finder(source == BUILTIN, config.device, order.detect and order.box is None)
        base = load_base_model(source, config.device, config.precision, loading)
        for line in base.notes:
            on_note(line)
        intake = take_in(order.photos, finder, intake_options(order, base.size_px), faces_hint(sheet))
        crops, held = hold_out(intake.crops, order.hold_out)
        masks = [mask_of(crop, finder) for crop in crops] if order.keep_photos else []
        for line in lines_on(intake):
            on_note(line)
        config = settled(base, crops, config)
        if order.fit_batch:
            config = _fitting(base, crops, config, on_note)
        with Registry.open() as registry:
            registry.check_writable()  # better found now than after the training
        asked = _photo_keys(order, intake)
        order = _with_consent(order, asked, folder, ask_consent)
        resume = order.resume and (folder / FILE_NAME).is_file()
        if not resume:
            _start_anew(order, folder, on_note)
        if order.consent is not None:
            keep_consent(folder, order.consent, asked)
        samples = previews_folder(folder)
        previews = Previews(base, order.name, order.preview, config.seed, samples, on_preview, on_note)
        try:
            tokens, report = train_identity(
                base, crops, config, folder, resume, on_step, order.preview_every, previews, on_note
            )
        except KeyboardInterrupt as error:
            raise InterruptedRunError(f"the enrolment of {order.name} was stopped", "start it again") from error
        return keep(
            replace(order, config=config),
            source,
            base.fingerprint,
            Outcome(
                tokens,
                report,
                intake,
                crops,
                masks,
                held,
                () if order.consent is None else asked,
                base.num_train_timesteps,
            ),
            samples if order.preview_every else None,
            folder,
        )


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


def _checked(order: EnrolOrder, on_note: OnNote) -> tuple[EnrolOrder, str]:
    """The order with what is open in it settled, and the base model; nothing has been written, nothing heavy loaded.

    Everything that can be wrong and is quick to check is found here.
    """
    check_name(order.name)
    source = chosen_source(order.model)
    sample = place_people(order.preview or f"a photo of <{order.name}>", [order.name])
    order = replace(order, config=on_machine(order.config), options=checked_options(order.options), preview=sample)
    check_tags(order.tags)
    intake_options(order, 1)
    find_photos(order.photos, None if order.strict else lambda problem: None)
    with Registry.open(create=False) as registry:
        taken = registry.find(order.name)
        if taken and not order.replace:
            raise name_taken(taken.name)
        if source == BUILTIN and not registry.list():
            on_note(FIRST_TIME_NOTE)
    check_home_writable()
    check_model(source, order.options.variant if order.options else None)
    return order, source


def intake_options(order: EnrolOrder, size_px: int) -> IntakeOptions:
    """How the photos of an order are taken in; raises UsageError for what cannot be.

    Args:
        order: The order.
        size_px: Side of a crop.
    """
    return IntakeOptions(
        size_px,
        order.face,
        order.detect,
        order.box,
        order.strict,
        face_share=order.face_share,
        jitter=order.jitter,
        seed=order.config.seed,
    )


def _photo_keys(order: EnrolOrder, intake: Intake) -> tuple[str, ...]:
    faces = {verdict.path: verdict.face for verdict in intake.verdicts}
    keys = (photo_key(crop.photo_sha256, faces.get(crop.photo_path), order.box) for crop in intake.crops)
    return tuple(dict.fromkeys(keys))


def _with_consent(
    order: EnrolOrder, photos: tuple[str, ...], folder: Path, ask_consent: AskConsent | None
) -> EnrolOrder:
    """The order with what the person said; None stays in it where nobody was asked, now or before."""
    if order.consent is not None or not is_people_word(order.config.class_word):
        return order
    said = kept_consent(folder, photos)
    if said is None:
        said = known_consent(photos)
    if said is None and ask_consent is not None:
        said = ask_consent()
    return replace(order, consent=said)


def _start_anew(order: EnrolOrder, folder: Path, on_note: OnNote) -> None:
    """Delete what an interrupted enrolment left, be it only what came before its first checkpoint."""
    if order.resume:
        on_note(f"there is nothing to resume, so the enrolment of {order.name} begins")
    elif is_interrupted(folder):
        on_note(f"starting anew: the interrupted enrolment of {order.name} is given up (--resume would go on with it)")
    if is_interrupted(folder):
        give_up(folder)


def _fitting(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig, on_note: OnNote) -> TrainConfig:
    from faceid_cli.training.fitting import fitting_batch

    size = fitting_batch(base, crops, config)
    if size != config.batch_size:
        on_note(f"batch: {size}, because {config.batch_size} do not fit into memory")
    return replace(config, batch_size=size)

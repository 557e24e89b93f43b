"""From the order for a person to what training needs, and from what it gives to the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api.opening import on_machine
from faceid_cli.faces.account import faces_hint, lines_on
from faceid_cli.faces.cutting import IntakeOptions
from faceid_cli.faces.finder import FaceFinder
from faceid_cli.faces.holding_out import hold_out
from faceid_cli.faces.intake import Intake, take_in
from faceid_cli.faces.sheets import mask_of
from faceid_cli.kept.runs import (
    check_home_writable,
    give_up,
    is_interrupted,
    keep_consent,
    kept_consent,
    previews_folder,
)
from faceid_cli.model_files import check_model
from faceid_cli.orders import EnrolOrder, TrainConfig, is_people_word
from faceid_cli.photo_files import find_photos
from faceid_cli.registry.consent import known_consent, photo_key
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import check_tags
from faceid_cli.registry.rows import name_taken
from faceid_cli.registry.sources import checked_options, chosen_source
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.prompts import place_people
from faceid_cli.types import BUILTIN, Identity, IdentityTokens, OnNote, OnPreviewFile, TrainReport

if TYPE_CHECKING:
    from PIL import Image

    from faceid_cli.backbone import BaseModel
    from faceid_cli.registry.keeping import Outcome
    from faceid_cli.training.run import Lesson
    from faceid_cli.types import FaceCrop

AskConsent = Callable[[], str | None]
"""Asks what the person said to being learned; "" for nothing, None where nobody can be asked."""

FIRST_TIME_NOTE = (
    "base model: the built-in one, which draws illustrated portraits; for photographs choose a Stable Diffusion "
    "checkpoint: faceid config set model FILE_OR_FOLDER"
)


@dataclass(frozen=True)
class Prepared:
    """A person whose photos have been taken in: what is left is to train, and to keep what comes of it.

    Attributes:
        order: Everything in it is settled.
        source: The base model.
        base: The same, loaded.
        folder: Of the checkpoint.
        intake: What was made of the photos.
        crops: To learn from.
        held: Crops that are kept from the training.
        masks: The face in each crop; none where they are not to be kept.
        photo_keys: Of the photos, which what the person said speaks of.
        resume: Whether a checkpoint is there, and is to be gone on from.
        on_preview: Called when a sample was written.
        on_note: Called with a line worth telling the user.
    """

    order: EnrolOrder
    source: str
    base: BaseModel
    folder: Path
    intake: Intake
    crops: tuple[FaceCrop, ...]
    held: tuple[FaceCrop, ...]
    masks: tuple[Image.Image, ...]
    photo_keys: tuple[str, ...]
    resume: bool
    on_preview: OnPreviewFile | None
    on_note: OnNote

    @property
    def lesson(self) -> Lesson:
        """What is to be learned."""
        from faceid_cli.rendering.previews import Previews
        from faceid_cli.training.run import Lesson

        order, samples = self.order, previews_folder(self.folder)
        previews = Previews(
            self.base, order.name, order.preview, order.config.seed, samples, self.on_preview, self.on_note
        )
        return Lesson(self.crops, order.config, self.folder, self.resume, order.preview_every, previews)

    def anew(self) -> Prepared:
        """The same from the first step on; what lies in the folder is deleted."""
        if is_interrupted(self.folder):
            give_up(self.folder)
        self._keep_consent()
        return replace(self, resume=False)

    def keep(self, tokens: IdentityTokens, report: TrainReport) -> Identity:
        """Keep the person.

        Raises:
            NameTakenError, RegistryError, OutputError: Nothing is kept then.
        """
        from faceid_cli.registry.keeping import keep

        previews = previews_folder(self.folder) if self.order.preview_every else None
        outcome = self.outcome(tokens, report)
        return keep(self.order, self.source, self.base.fingerprint, outcome, previews, self.folder)

    def outcome(self, tokens: IdentityTokens, report: TrainReport) -> Outcome:
        """What is kept of the person."""
        from faceid_cli.registry.keeping import Outcome

        said = () if self.order.consent is None else self.photo_keys
        timesteps = self.base.num_train_timesteps
        return Outcome(tokens, report, self.intake, self.crops, self.masks, self.held, said, timesteps)

    def _keep_consent(self) -> None:
        if self.order.consent is not None:
            keep_consent(self.folder, self.order.consent, self.photo_keys)


def checked_order(order: EnrolOrder, on_note: OnNote) -> tuple[EnrolOrder, str]:
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


def prepare(
    order: EnrolOrder,
    source: str,
    base: BaseModel,
    finder: FaceFinder | None,
    folder: Path,
    on_note: OnNote,
    sheet: Path | str | None = None,
    on_preview: OnPreviewFile | None = None,
    ask_consent: AskConsent | None = None,
    is_kept_here: bool = True,
) -> Prepared:
    """Take in a person's photos, settle what depends on them, and ask what the person said.

    Args:
        order: As `checked_order` returned it.
        source: The base model.
        base: The same, loaded.
        finder: What finds faces; None where nothing is to be found.
        folder: Of the checkpoint; ours.
        on_note: Called with a line worth telling the user.
        sheet: Where to write the numbered faces if it is not clear which one is meant; None for nowhere.
        on_preview: Called when a sample was written.
        ask_consent: Called when nothing is left that could be wrong with the order, where nobody knows what they said.
        is_kept_here: Whether there is a registry here that is to keep them, and may know what they said.

    Raises:
        PhotoError, RegistryError, OutOfMemoryError, ...
    """
    from faceid_cli.training.checkpoint import FILE_NAME
    from faceid_cli.training.initial import settled

    intake, crops, held, masks = taken_in(order, base, finder, on_note, sheet)
    config = settled(base, crops, order.config)
    if order.fit_batch:
        config = _fitting(base, crops, config, on_note)
    asked = _photo_keys(order, intake)
    order = replace(order, config=config)
    if is_kept_here:
        with Registry.open() as registry:
            registry.check_writable()  # better found now than after the training
        order = _with_consent(order, asked, folder, ask_consent)
    resume = order.resume and (folder / FILE_NAME).is_file()
    made = Prepared(
        order,
        source,
        base,
        folder,
        intake,
        crops,
        held,
        masks,
        asked,
        resume,
        on_preview,
        on_note,
    )
    if resume:
        made._keep_consent()
        return made
    return made.anew()


def taken_in(
    order: EnrolOrder, base: BaseModel, finder: FaceFinder | None, on_note: OnNote, sheet: Path | str | None = None
) -> tuple[Intake, tuple[FaceCrop, ...], tuple[FaceCrop, ...], tuple[Image.Image, ...]]:
    """What was made of an order's photos, the crops to learn from, those held out, and the face in each to be kept."""
    intake = take_in(order.photos, finder, intake_options(order, base.size_px), faces_hint(sheet))
    crops, held = hold_out(intake.crops, order.hold_out)
    masks = tuple(mask_of(crop, finder) for crop in crops) if order.keep_photos else ()
    for line in lines_on(intake):
        on_note(line)
    return intake, tuple(crops), tuple(held), masks


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


def _fitting(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig, on_note: OnNote) -> TrainConfig:
    from faceid_cli.training.fitting import fitting_batch

    size = fitting_batch(base, crops, config)
    if size != config.batch_size:
        on_note(f"batch: {size}, because {config.batch_size} do not fit into memory")
    return replace(config, batch_size=size)

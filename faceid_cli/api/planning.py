"""What an enrolment will take, before it is begun: seconds, memory and disk."""

from __future__ import annotations

import io
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faceid_cli.api.base_model import base_model, begin_loading
from faceid_cli.api.preparing import checked_order, taken_in
from faceid_cli.errors import OutOfMemoryError
from faceid_cli.faces.finder import enrolment_finder
from faceid_cli.faces.intake import Intake
from faceid_cli.kept.runs import existing_home
from faceid_cli.orders import EnrolOrder
from faceid_cli.types import BUILTIN, OnNote

if TYPE_CHECKING:
    from PIL import Image

    from faceid_cli.backbone import BaseModel
    from faceid_cli.orders import TrainConfig

_HEADER_BYTES = 2_000  # of an identity's file, about
_THUMBNAIL_BYTES = 15_000


@dataclass(frozen=True)
class EnrolmentPlan:
    """What an enrolment will take.

    Attributes:
        name: Of the person.
        photos: That can be used.
        steps: Of the training.
        batch_size: Crops per step: as asked for, or with `--batch auto` the largest that fits.
        asked_batch_size: As asked for.
        device: Where the work is done.
        precision: Of the weights.
        seconds: In all.
        begin_seconds: Of them until the first step: loading, photos.
        step_seconds: A step.
        memory_bytes: At the peak; on a GPU of its memory, else of the process.
        room_bytes: What there is; None where the system does not tell.
        kept_bytes: On disk, for good.
        checkpoint_bytes: On disk, while the person is learned.
        free_disk_bytes: What there is.
        previews: How many samples are rendered, which is not counted.
        fits: Whether the batch that was asked for fits into memory, or was not insisted on.
    """

    name: str
    photos: int
    steps: int
    batch_size: int
    asked_batch_size: int
    device: str
    precision: str
    seconds: float
    begin_seconds: float
    step_seconds: float
    memory_bytes: int
    room_bytes: int | None
    kept_bytes: int
    checkpoint_bytes: int
    free_disk_bytes: int
    previews: int
    fits: bool


def plan_enrolment(order: EnrolOrder, on_note: OnNote) -> EnrolmentPlan:
    """Find out what an enrolment will take, from its photos and a few of its steps; nothing is kept.

    Args:
        order: The order.
        on_note: Called with a line worth telling the user.

    Raises:
        InvalidNameError, NameTakenError, PhotoError, ModelError, ...: What the enrolment would raise.
        OutOfMemoryError: Not even a batch of one fits.
    """
    started = time.perf_counter()
    order, source = checked_order(order, on_note)

    begin_loading(source, order.options)

    # These bring in torch, which takes seconds.
    from faceid_cli.training.initial import settled
    from faceid_cli.training.probing import probe

    finder = enrolment_finder(source == BUILTIN, order.config.device, order.detect and order.box is None)
    base = base_model(source, order.config, order.options, on_note)
    intake, crops, _, masks = taken_in(order, base, finder, on_note)
    config = settled(base, crops, order.config)
    loaded = time.perf_counter() - started
    found = probe(base, crops, config)
    pictures = [crop.image for crop in crops] if order.keep_photos else []
    return EnrolmentPlan(
        name=order.name,
        photos=len({crop.photo_sha256 for crop in crops}),
        steps=config.steps,
        batch_size=found.batch_size,
        asked_batch_size=config.batch_size,
        device=str(base.device),
        precision=str(base.dtype).removeprefix("torch."),
        seconds=loaded + found.seconds_of(config.steps),
        begin_seconds=loaded + found.begin_seconds,
        step_seconds=found.step_seconds,
        memory_bytes=found.memory_bytes,
        room_bytes=found.room_bytes,
        kept_bytes=_identity_bytes(base, config) + _picture_bytes([*pictures, *masks]) + _photo_bytes(order, intake),
        checkpoint_bytes=found.checkpoint_bytes,
        free_disk_bytes=shutil.disk_usage(existing_home()).free,
        previews=config.steps // order.preview_every + 1 if order.preview_every else 0,
        fits=found.fits or order.fit_batch,
    )


def check_plan(plan: EnrolmentPlan) -> None:
    """Raise OutOfMemoryError where the batch that was asked for does not fit; it names the one that does."""
    if not plan.fits:
        raise OutOfMemoryError(
            f"a batch of {plan.asked_batch_size} does not fit into memory",
            f"--batch {plan.batch_size} fits; --batch auto takes what fits",
        )


def _identity_bytes(base: BaseModel, config: TrainConfig) -> int:
    widths = sum(encoder.width for encoder in base.encoders)
    return 2 * 4 * config.stages * config.vectors * widths + _HEADER_BYTES


def _picture_bytes(pictures: list[Image.Image]) -> int:
    total = 0
    for picture in pictures:
        file = io.BytesIO()
        picture.save(file, "PNG")
        total += file.tell()
    return total


def _photo_bytes(order: EnrolOrder, intake: Intake) -> int:
    return _THUMBNAIL_BYTES * sum(look.thumbnail is not None for look in intake.looks) if order.keep_photos else 0

"""Enrolling: from photo files to a person in the registry."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api import holding_out
from faceid_cli.api.base_models import OnNote, checked_options, chosen_source, kept_options
from faceid_cli.api.checkpoints import check_home_writable, claimed_run, give_up, is_interrupted
from faceid_cli.api.holding_out import check_hold_out
from faceid_cli.api.intake import finder_of, lines_on, take_in_photos
from faceid_cli.api.keeping import Learned, keep
from faceid_cli.api.previews import Previews, preview_prompt, previews_folder
from faceid_cli.config import ModelOptions, TrainConfig
from faceid_cli.errors import InterruptedRunError, UsageError
from faceid_cli.model_files import BUILTIN, check_model
from faceid_cli.photos import find_photos
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import NewIdentity
from faceid_cli.registry.rows import name_taken
from faceid_cli.registry.store import Registry
from faceid_cli.types import Box, Identity, StepReport

if TYPE_CHECKING:
    from faceid_cli.api.previews import OnPreviewFile
    from faceid_cli.backbone import BaseModel
    from faceid_cli.types import FaceCrop

OnStep = Callable[[StepReport], None]

FIRST_TIME_NOTE = (
    "base model: the built-in one, which draws illustrated portraits; for photographs choose a Stable Diffusion "
    "checkpoint: faceid config set model FILE_OR_FOLDER"
)


def enroll(
    name: str,
    photos: Sequence[Path | str] | Path | str,
    *,
    config: TrainConfig | None = None,
    model: str | None = None,
    options: ModelOptions | None = None,
    fit_batch: bool = False,
    face: str | int = "auto",
    replace: bool = False,
    resume: bool = False,
    detect: bool = True,
    box: Box | None = None,
    strict: bool = False,
    face_share: float | None = None,
    jitter: int = 0,
    hold_out: int = 0,
    keep_photos: bool = True,
    consent: str = "",
    sheet: Path | str | None = None,
    preview_every: int = 0,
    preview: str = "",
    on_preview: OnPreviewFile | None = None,
    tags: Sequence[str] = (),
    note: str = "",
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
) -> Identity:
    """Learn a person from photo files and keep them in the registry.

    Args:
        name: Letters, digits, "-" and "_", 1 to 64.
        photos: Files and folders, one or several.
        config: How to learn; the `sefi` preset by default.
        model: Base model; the user's setting by default, which is the built-in model at first.
        options: How to load the base model: variant, VAE, LoRA adapters, less memory.
        fit_batch: Halve the batch until a step fits into memory.
        face: Which face where photos show several: "auto" for the person whom most photos show, or a word of
            `faces.crop.choose_face`.
        replace: Whether a person of that name gives way, once the new one is complete.
        resume: Go on from the checkpoint that an interrupted enrolment of that name left.
        detect: Look for faces; without it the middle of each photo is taken whole.
        box: Where the face is, in pixels; for a single photo.
        strict: Stop at the first photo that cannot be used, instead of leaving it out.
        face_share: Height of the face as a share of the crop, 0.1 to 1; see `faces.crop.FACE_SHARE`.
        jitter: Further crops of each photo, moved and resized a little at random.
        hold_out: How many photos, the last ones, are not learned from: `evaluate` compares pictures with them.
        keep_photos: Keep the crops and masks that training used, for the person's report.
        consent: What the person said to being learned; kept with them.
        sheet: Where to write the numbered faces if it is not clear which one is meant; None for nowhere.
        preview_every: Steps between sample pictures during the training, kept with the person; 0 for none.
        preview: Their prompt; the person alone by default.
        on_preview: Called with (steps done, file) when one was written.
        tags: Words to find the person by.
        note: Kept with the person.
        on_step: Called after every step.
        on_note: Called with a line worth telling the user.

    Raises:
        InvalidNameError, NameTakenError, PhotoError, ModelError, CheckpointError, InterruptedRunError, ...
    """
    config = config or TrainConfig()
    if preview_every < 0:
        raise UsageError(f"steps between previews must be 0 or more, not {preview_every}")
    files = [Path(photo) for photo in ([photos] if isinstance(photos, str | Path) else photos)]
    # Everything that can be wrong and is quick to check comes first, and before anything is written.
    source, loading = chosen_source(model), checked_options(options)
    draft = NewIdentity(
        check_name(name), config.class_word, source, "unknown", {}, tags=tuple(tags), note=note, consent=consent
    )
    check_hold_out(hold_out)
    sample = preview_prompt(name, preview)
    find_photos(files, None if strict else lambda problem: None)
    first = _check_free(name, replace)
    check_home_writable()
    check_model(source, loading.variant)
    on_note = on_note or _nobody_listens
    if first and source == BUILTIN:
        on_note(FIRST_TIME_NOTE)
    request = {
        "photos": [str(file.expanduser().absolute()) for file in files],
        "detect": detect,
        "box": None if box is None else [box.x, box.y, box.width, box.height],
        "strict": strict,
        "face_share": face_share,
        "jitter": jitter,
        "hold_out": hold_out,
        "keep_photos": keep_photos,
        "low_vram": loading.low_vram,
        "preview_every": preview_every,
        "preview": sample.replace(f"<{name}>", "{name}") if preview_every else "",
    }

    with claimed_run(name) as folder:
        # These bring in torch, which takes seconds.
        from faceid_cli.backbone import load_base_model
        from faceid_cli.faces.cutting import IntakeOptions
        from faceid_cli.training.initial import settled
        from faceid_cli.training.loop import train_identity

        wanted = IntakeOptions(1, face, detect, box, strict, False, face_share, jitter, config.seed)
        finder = finder_of(source, config.device, wanted)
        base = load_base_model(source, config.device, config.precision, loading)
        for line in base.notes:
            on_note(line)
        intake, masks = take_in_photos(finder, files, dataclasses.replace(wanted, size_px=base.size_px), sheet)
        crops, masks, held = holding_out.hold_out(intake.crops, masks, hold_out)
        for line in lines_on(intake):
            on_note(line)
        config = settled(base, crops, config)
        if fit_batch:
            config = _fitting(base, crops, config, on_note)
        Registry.open().close()  # a registry that cannot be written is better found now than after the training
        if not resume:
            _start_anew(name, folder, on_note)
        samples = previews_folder(folder)
        previews = Previews(base, name, sample, config.seed, samples, on_preview, on_note)
        try:
            tokens, report = train_identity(base, crops, config, folder, resume, on_step, preview_every, previews)
        except KeyboardInterrupt as error:
            raise InterruptedRunError(f"the enrolment of {name} was stopped", "start it again") from error
        identity = keep(
            dataclasses.replace(draft, base_fingerprint=base.fingerprint),
            Learned(tokens, report, config, intake, crops, masks, held),
            kept_options(loading),
            {"face": face, "request": request},
            over=replace,
            keep_photos=keep_photos,
            previews=samples if preview_every else None,
        )
        shutil.rmtree(folder, ignore_errors=True)
        return identity


def _nobody_listens(line: str) -> None:
    """Takes what is worth telling where nobody wants to know."""


def _start_anew(name: str, folder: Path, on_note: OnNote) -> None:
    """Delete what an interrupted enrolment left."""
    if is_interrupted(folder):
        on_note(f"starting anew: the interrupted enrolment of {name} is given up (--resume would go on with it)")
        give_up(folder)


def _fitting(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig, on_note: OnNote) -> TrainConfig:
    from faceid_cli.training.fitting import fitting_batch

    size = fitting_batch(base, crops, config)
    if size != config.batch_size:
        on_note(f"batch: {size}, because {config.batch_size} do not fit into memory")
    return dataclasses.replace(config, batch_size=size)


def _check_free(name: str, replace: bool) -> bool:
    """Whether nobody at all is enrolled yet; raises NameTakenError where somebody of that name may not give way."""
    with Registry.open(create=False) as registry:
        taken = registry.find(name)
        if taken and not replace:
            raise name_taken(taken.name)
        return not registry.list()

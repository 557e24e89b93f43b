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
from faceid_cli.api.holding_out import check_hold_out, held_out_files
from faceid_cli.api.intake import finder_of, lines_on, photo_records, take_in_photos
from faceid_cli.api.material import keep_material, keep_previews, remove_material
from faceid_cli.api.people import metadata_of
from faceid_cli.api.previews import Previews, preview_prompt, previews_folder
from faceid_cli.api.watching import line_on_stopping, render_scorer, stopping_record
from faceid_cli.config import ModelOptions, TrainConfig
from faceid_cli.errors import InterruptedRunError, UsageError
from faceid_cli.identity_file import save_identity
from faceid_cli.model_files import BUILTIN, check_model
from faceid_cli.photos import find_photos
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import NewIdentity, NewRun
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
    first, old = _check_free(name, replace)
    check_home_writable()
    check_model(source, loading.variant)
    if first and source == BUILTIN and on_note:
        on_note(FIRST_TIME_NOTE)

    with claimed_run(name) as folder:
        # These bring in torch, which takes seconds.
        from faceid_cli.backbone import load_base_model
        from faceid_cli.faces.cutting import IntakeOptions
        from faceid_cli.tokens import arrays_from_tokens
        from faceid_cli.training.initial import settled
        from faceid_cli.training.loop import train_identity

        wanted = IntakeOptions(1, face, detect, box, strict, False, face_share, jitter, config.seed)
        finder = finder_of(source, config.device, wanted)
        base = load_base_model(source, config.device, config.precision, loading)
        if on_note:
            for line in base.notes:
                on_note(line)
        intake, masks = take_in_photos(finder, files, dataclasses.replace(wanted, size_px=base.size_px), sheet)
        crops, masks, held = holding_out.hold_out(intake.crops, masks, hold_out)
        for line in lines_on(intake):
            if on_note:
                on_note(line)
        config = settled(base, crops, config)
        if fit_batch:
            config = _fitting(base, crops, config, on_note)
        scorer = render_scorer(base, held or crops, config)
        Registry.open().close()  # a registry that cannot be written is better found now than after the training
        if not resume and is_interrupted(folder):
            if on_note:
                on_note(
                    f"starting anew: the interrupted enrolment of {name} is given up (--resume would go on with it)"
                )
            give_up(folder)
        try:
            previews = Previews(base, name, sample, config.seed, previews_folder(folder), on_preview, on_note)
            tokens, report = train_identity(
                base, crops, config, folder, resume, on_step, preview_every, previews, scorer
            )
        except KeyboardInterrupt as error:
            raise InterruptedRunError(f"the enrolment of {name} was stopped", "start it again") from error
        stopped = line_on_stopping(report, config)
        if on_note and stopped:
            on_note(stopped)
        new = dataclasses.replace(
            draft,
            base_fingerprint=base.fingerprint,
            method={**dataclasses.asdict(config), **kept_options(loading)},
            photo_hashes=tuple(dict.fromkeys(crop.photo_sha256 for crop in crops)),
            consent=consent or (old.consent if old else ""),
        )
        keys, values = arrays_from_tokens(tokens)
        # Where the photos are is kept on this machine only: `evaluate` compares pictures with them.
        files_used = list(dict.fromkeys(str(crop.photo_path.absolute()) for crop in crops))
        chosen = {str(verdict.path.absolute()): verdict.face for verdict in intake.verdicts if verdict.face is not None}
        settings = {**new.method, "photo_files": files_used, "face": face, "faces": chosen, **stopping_record(report)}
        settings["held_out_files"] = held_out_files(held)
        settings["request"] = {
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
        run = NewRun(settings, report.losses, report.seconds, report.resumed_from)
        written: list[str] = []

        def write(kept: Identity) -> None:
            written.append(kept.id)
            if keep_photos:
                keep_material(kept.id, crops, masks, photo_records(intake))
            if preview_every:
                keep_previews(kept.id, previews_folder(folder))
            save_identity(kept.path, keys, values, metadata_of(new))

        try:
            with Registry.open() as registry:
                old = registry.find(name) if replace else None
                keep = registry.replace_identity if replace else registry.add_identity
                identity = keep(new, write, run)
        except BaseException:
            for identity_id in written:
                remove_material(identity_id)
            raise
        if old is not None:
            remove_material(old.id)
        shutil.rmtree(folder, ignore_errors=True)
        return identity


def _fitting(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig, on_note: OnNote | None) -> TrainConfig:
    from faceid_cli.training.fitting import fitting_batch

    size = fitting_batch(base, crops, config)
    if size != config.batch_size and on_note:
        on_note(f"batch: {size}, because {config.batch_size} do not fit into memory")
    return dataclasses.replace(config, batch_size=size)


def _check_free(name: str, replace: bool) -> tuple[bool, Identity | None]:
    """Whether nobody at all is enrolled yet, and who gives way; raises NameTakenError where nobody may."""
    with Registry.open(create=False) as registry:
        taken = registry.find(name)
        if taken and not replace:
            raise name_taken(taken.name)
        return not registry.list(), taken

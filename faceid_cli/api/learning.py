"""Enrolling: from photo files to a person in the registry."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api.base_models import OnNote, chosen_source
from faceid_cli.api.checkpoints import checkpoint_dir
from faceid_cli.api.people import metadata_of
from faceid_cli.config import TrainConfig
from faceid_cli.errors import InterruptedRunError
from faceid_cli.identity_file import save_identity
from faceid_cli.model_files import BUILTIN, check_model_folder, model_folder
from faceid_cli.photos import find_photos
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.rows import name_taken
from faceid_cli.registry.store import Registry
from faceid_cli.types import Box, Identity, StepReport

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel
    from faceid_cli.types import FaceCrop

OnStep = Callable[[StepReport], None]

FIRST_TIME_NOTE = (
    "base model: the built-in one, which draws illustrated portraits; for photographs choose a Stable Diffusion 1.x "
    "folder: faceid config set model FOLDER"
)


def enroll(
    name: str,
    photos: Sequence[Path | str] | Path | str,
    *,
    config: TrainConfig | None = None,
    model: str | None = None,
    face: str | int = "only",
    replace: bool = False,
    resume: bool = False,
    detect: bool = True,
    box: Box | None = None,
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
        face: Which face where photos show several; see `faces.crop.choose_face`.
        replace: Whether a person of that name gives way, once the new one is complete.
        resume: Go on from the checkpoint that an interrupted enrolment of that name left.
        detect: Look for faces; without it the middle of each photo is taken whole.
        box: Where the face is, in pixels; for a single photo.
        tags: Words to find the person by.
        note: Kept with the person.
        on_step: Called after every step.
        on_note: Called with a line worth telling the user.

    Raises:
        InvalidNameError, NameTakenError, PhotoError, ModelError, CheckpointError, InterruptedRunError, ...
    """
    config = config or TrainConfig()
    files = [Path(photo) for photo in ([photos] if isinstance(photos, str | Path) else photos)]
    # Everything that can be wrong and is quick to check comes first, and before anything is written.
    source = chosen_source(model)
    draft = NewIdentity(check_name(name), config.class_word, source, "unknown", {}, tags=tuple(tags), note=note)
    find_photos(files)
    first = _check_free(name, replace)
    check_model_folder(model_folder(source))
    if first and source == BUILTIN and on_note:
        on_note(FIRST_TIME_NOTE)

    # These bring in torch, which takes seconds.
    from faceid_cli.backbone import load_base_model
    from faceid_cli.tokens import arrays_from_tokens
    from faceid_cli.training.loop import train_identity

    base = load_base_model(source, config.device, config.precision)
    crops = _crops(base, files, config, face, detect, box)
    Registry.open().close()  # a registry that cannot be written is better found now than after the training
    folder = checkpoint_dir(name)
    if not resume and folder.exists():
        if on_note:
            on_note(f"starting anew: the interrupted enrolment of {name} is given up (--resume would go on with it)")
        shutil.rmtree(folder, ignore_errors=True)
    try:
        tokens, report = train_identity(base, crops, config, folder, resume, on_step)
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"the enrolment of {name} was stopped", "start it again") from error
    new = dataclasses.replace(
        draft,
        base_fingerprint=base.fingerprint,
        method=dataclasses.asdict(config),
        photo_hashes=tuple(dict.fromkeys(crop.photo_sha256 for crop in crops)),
    )
    keys, values = arrays_from_tokens(tokens)
    # Where the photos are is kept on this machine only: `evaluate` compares pictures with them.
    files_used = [str(crop.photo_path.absolute()) for crop in crops]
    settings = {**new.method, "photo_files": files_used, "face": face}
    run = NewRun(settings, report.losses, report.seconds, report.resumed_from)
    with Registry.open() as registry:
        keep = registry.replace_identity if replace else registry.add_identity
        identity = keep(new, lambda kept: save_identity(kept.path, keys, values, metadata_of(new)), run)
    shutil.rmtree(folder, ignore_errors=True)
    return identity


def _check_free(name: str, replace: bool) -> bool:
    """Whether nobody at all is enrolled yet; raises NameTakenError where the name is taken and not to be replaced."""
    with Registry.open(create=False) as registry:
        taken = registry.find(name)
        if taken and not replace:
            raise name_taken(taken.name)
        return not registry.list()


def _crops(
    base: BaseModel, files: Sequence[Path], config: TrainConfig, face: str | int, detect: bool, box: Box | None
) -> list[FaceCrop]:
    from faceid_cli.faces.finder import finder_for
    from faceid_cli.faces.intake import crops_from_photos

    # With the face given by hand, or no face wanted, a face finder that is not installed is no obstacle.
    finder = finder_for(base.is_builtin, config.device) if detect and box is None else None
    return crops_from_photos(files, finder, base.size_px, face, detect, box)

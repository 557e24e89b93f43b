"""The end of an enrolment: the person, their file, and what they were learned from are kept, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.api.holding_out import held_out_files
from faceid_cli.api.intake import photo_records
from faceid_cli.api.material import keep_material, keep_previews, remove_material
from faceid_cli.api.people import metadata_of
from faceid_cli.config import TrainConfig
from faceid_cli.identity_file import save_identity
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity, IdentityTokens, TrainReport

if TYPE_CHECKING:
    from PIL.Image import Image

    from faceid_cli.faces.intake import Intake
    from faceid_cli.types import FaceCrop


@dataclass(frozen=True)
class Learned:
    """What an enrolment has found.

    Attributes:
        tokens: The person's.
        report: How the training went.
        config: How it was done, with everything settled.
        intake: What was made of the photos.
        crops: Learned from.
        masks: The face in each of them.
        held: Crops that were kept from the training.
    """

    tokens: IdentityTokens
    report: TrainReport
    config: TrainConfig
    intake: Intake
    crops: Sequence[FaceCrop]
    masks: Sequence[Image]
    held: Sequence[FaceCrop]


def keep(
    draft: NewIdentity,
    learned: Learned,
    model_options: dict[str, Any],
    request: dict[str, Any],
    *,
    over: bool,
    keep_photos: bool,
    previews: Path | None,
) -> Identity:
    """Keep a person in the registry.

    Args:
        draft: The person, but for what the training tells.
        learned: That.
        model_options: How the base model was loaded, as JSON values.
        request: What the user asked for, as JSON values: it makes the command that would do it again.
        over: Whether a person of that name gives way; their consent stays where the draft has none.
        keep_photos: Keep crops and masks for the person's report.
        previews: Folder of the samples that were rendered on the way; None where there are none.

    Raises:
        NameTakenError, RegistryError, OutputError: Nothing is kept then, and nobody has given way.
    """
    with Registry.open() as registry:
        old = registry.find(draft.name) if over else None
        new = replace(
            draft,
            method={**asdict(learned.config), **model_options},
            photo_hashes=tuple(dict.fromkeys(crop.photo_sha256 for crop in learned.crops)),
            consent=draft.consent or (old.consent if old else ""),
        )
        written: list[str] = []

        def write(kept: Identity) -> None:
            written.append(kept.id)
            _write(kept, new, learned, keep_photos, previews)

        add = registry.replace_identity if over else registry.add_identity
        try:
            identity = add(new, write, _run(learned, new.method, request))
        except BaseException:
            for identity_id in written:
                remove_material(identity_id)
            raise
    if old is not None:
        remove_material(old.id)
    return identity


def _write(kept: Identity, new: NewIdentity, learned: Learned, keep_photos: bool, previews: Path | None) -> None:
    from faceid_cli.tokens import arrays_from_tokens

    if keep_photos:
        keep_material(kept.id, learned.crops, learned.masks, photo_records(learned.intake))
    if previews is not None:
        keep_previews(kept.id, previews)
    keys, values = arrays_from_tokens(learned.tokens)
    save_identity(kept.path, keys, values, metadata_of(new))


def _run(learned: Learned, method: dict[str, Any], request: dict[str, Any]) -> NewRun:
    """The training run. Where the photos are is kept on this machine only: `evaluate` compares pictures with them."""
    verdicts = [verdict for verdict in learned.intake.verdicts if verdict.face is not None]
    settings = {
        **method,
        "photo_files": list(dict.fromkeys(str(crop.photo_path.absolute()) for crop in learned.crops)),
        "faces": {str(verdict.path.absolute()): verdict.face for verdict in verdicts},
        "held_out_files": held_out_files(learned.held),
        **request,
    }
    return NewRun(settings, learned.report.losses, learned.report.seconds, learned.report.resumed_from)

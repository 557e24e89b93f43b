"""The end of an enrolment: the person, their file, and what they were learned from are kept, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from faceid_cli.faces.account import photo_records
from faceid_cli.faces.holding_out import held_out_files
from faceid_cli.faces.intake import Intake
from faceid_cli.kept.identity_file import save_identity
from faceid_cli.kept.material import keep_material, keep_previews
from faceid_cli.orders import EnrolOrder, ModelOptions
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.run_record import RunRecord
from faceid_cli.registry.store import Registry
from faceid_cli.tokens import arrays_from_tokens
from faceid_cli.types import FaceCrop, Identity, IdentityTokens, TrainReport


@dataclass(frozen=True)
class Outcome:
    """What an enrolment has come to.

    Attributes:
        tokens: The person's tokens, as they were learned.
        report: How the training went.
        intake: What was made of the photos.
        crops: The crops that were learned from.
        masks: The face in each of them; none where they are not to be kept.
        held: Crops that were kept from the training.
        consent_photos: The photos that what the person said speaks of, see `RunRecord`.
        num_train_timesteps: Timesteps of the base model's noise schedule.
    """

    tokens: IdentityTokens
    report: TrainReport
    intake: Intake
    crops: Sequence[FaceCrop]
    masks: Sequence[Image.Image]
    held: Sequence[FaceCrop]
    consent_photos: tuple[str, ...] = ()
    num_train_timesteps: int = 1000


def keep(
    order: EnrolOrder, source: str, fingerprint: str, outcome: Outcome, previews: Path | None, spent: Path
) -> Identity:
    """Keep a person in the registry.

    Args:
        order: How they were learned, everything in it settled. Somebody of that name gives way if it says so; their
            consent stays where the order has none.
        source: The base model.
        fingerprint: Of its weights.
        outcome: What was learned.
        previews: Folder of the samples that were rendered on the way; None where there are none.
        spent: Folder of the checkpoint, which goes once the person is kept.

    Raises:
        NameTakenError, RegistryError, OutputError: Nothing is kept then, and nobody has given way.
    """
    method = {**asdict(order.config), **(order.options or ModelOptions()).kept()}
    with Registry.open() as registry:
        old = registry.find(order.name) if order.replace else None
        new = NewIdentity(
            order.name,
            order.config.class_word,
            source,
            fingerprint,
            method,
            photo_hashes=tuple(dict.fromkeys(crop.photo_sha256 for crop in outcome.crops)),
            tags=order.tags,
            note=order.note,
            consent=order.consent or (old.consent if old else ""),
            num_train_timesteps=outcome.num_train_timesteps,
        )

        def write(kept: Identity) -> None:
            if order.keep_photos:
                keep_material(kept.id, outcome.crops, outcome.masks, photo_records(outcome.intake))
            if previews is not None:
                keep_previews(kept.id, previews)
            save_identity(kept.path, *arrays_from_tokens(outcome.tokens), new.metadata())

        report = outcome.report
        run = NewRun(_record(order, method, outcome).to_json(), report.losses, report.seconds, report.resumed_from)
        add = registry.replace_identity if order.replace else registry.add_identity
        return add(new, write, run, spent)


def _record(order: EnrolOrder, method: dict[str, object], outcome: Outcome) -> RunRecord:
    """The run. Where the photos are is kept on this machine only: `evaluate` compares pictures with them."""
    return RunRecord(
        method,
        photo_files=tuple(dict.fromkeys(str(crop.photo_path.absolute()) for crop in outcome.crops)),
        held_out_files=held_out_files(outcome.held),
        faces={
            str(verdict.path.absolute()): verdict.face
            for verdict in outcome.intake.verdicts
            if verdict.face is not None
        },
        face=order.face,
        request=order.request(),
        consent_photos=outcome.consent_photos,
    )

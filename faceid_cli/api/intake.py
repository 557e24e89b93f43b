"""Taking photos in for an enrolment: crops with masks, and what is told and kept about each photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.api.sheets import faces_sheet, mask_of, save_sheet
from faceid_cli.errors import WeightsMissingError
from faceid_cli.model_files import BUILTIN
from faceid_cli.settings import read_setting

if TYPE_CHECKING:
    from PIL.Image import Image

    from faceid_cli.faces.cutting import IntakeOptions
    from faceid_cli.faces.finder import FaceFinder
    from faceid_cli.faces.intake import Intake
    from faceid_cli.faces.look import Look

_MOST_TOLD = 20


def finder_of(source: str, device: str, options: IntakeOptions) -> FaceFinder | None:
    """What finds the faces, loaded before a large base model is; None where nothing is to be found.

    Raises:
        WeightsMissingError: The weights for photographs are not on this machine.
        BrokenInstallError: The installed packages for photographs do not fit each other.
    """
    from faceid_cli.faces.finder import finder_for

    # With the face given by hand, or no face wanted, a face finder that is not installed is no obstacle.
    if not options.detect or options.box is not None:
        return None
    try:
        return finder_for(source == BUILTIN, device, read_setting("detector"))
    except WeightsMissingError as error:
        error.hint = f"{error.hint}; --no-detect and --box work without"
        raise


def take_in_photos(
    finder: FaceFinder | None, files: Sequence[Path], options: IntakeOptions, sheet: Path | str | None
) -> tuple[Intake, list[Image]]:
    """The crops, and a mask of the face in each."""
    from faceid_cli.faces.intake import take_in

    def show_faces(looks: Sequence[Look]) -> str:
        if sheet is None:
            return "`faceid photos check` writes a sheet with numbered faces"
        return f"{save_sheet(faces_sheet(looks), Path(sheet).expanduser())} shows the numbered faces"

    intake = take_in(files, finder, options, show_faces)
    return intake, [mask_of(crop, finder) for crop in intake.crops]


def lines_on(intake: Intake) -> Iterator[str]:
    """What is worth telling about the photos."""
    told = [verdict for verdict in intake.verdicts if verdict.reasons]
    for verdict in told[:_MOST_TOLD]:
        prefix = "left out" if verdict.grade == "left out" else "used in spite of flaws:"
        yield f"{prefix} {verdict.path.name}: {', '.join(verdict.reasons)}".replace("flaws: ", "flaws, ")
    if len(told) > _MOST_TOLD:
        yield f"... and {len(told) - _MOST_TOLD} more: `faceid photos check` shows all of them"
    yield from (f"warning: {warning}" for warning in intake.warnings)


def photo_records(intake: Intake) -> list[dict[str, Any]]:
    """What is kept about each photo, as JSON values, with a small copy of those that were used under "thumbnail"."""
    looks = {look.path: look for look in intake.looks}
    records = []
    for verdict in intake.verdicts:
        record: dict[str, Any] = {
            "photo": verdict.path.name,
            "verdict": verdict.grade,
            "reasons": list(verdict.reasons),
        }
        look = looks.get(verdict.path)
        if verdict.grade != "left out" and look is not None and look.thumbnail is not None:
            record |= {
                "photo_sha256": look.sha256,
                "size": list(look.size),
                "faces": [asdict(face) for face in look.faces],
                "chosen": verdict.face,
                "thumbnail": look.thumbnail,
            }
        records.append(record)
    return records

"""Checking photos before anything is learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faceid_cli.faces.cutting import IntakeOptions
from faceid_cli.faces.finder import finder_for
from faceid_cli.faces.intake import judge_photos
from faceid_cli.faces.sheets import check_sheet, save_sheet
from faceid_cli.faces.verdict import PhotoVerdict
from faceid_cli.kept.settings import read_setting
from faceid_cli.model_files import check_model
from faceid_cli.orders.checks import check_output, user_path
from faceid_cli.orders.enrolling import photo_paths
from faceid_cli.photo_files import find_photos
from faceid_cli.registry.sources import chosen_source
from faceid_cli.types import BUILTIN

_SIZE_PX = {True: 256, False: 512}
"""Side of the crops, for the built-in model and for others: large enough to measure in."""


@dataclass(frozen=True)
class PhotoCheck:
    """What was found of photos.

    Attributes:
        verdicts: One for each file.
        warnings: What to tell about them as a set.
        sheet: The contact sheet that was written, or None.
    """

    verdicts: tuple[PhotoVerdict, ...]
    warnings: tuple[str, ...]
    sheet: Path | None

    @property
    def usable(self) -> int:
        """How many can be learned from."""
        return sum(verdict.grade != "left out" for verdict in self.verdicts)


def check_photos(
    photos: Sequence[Path | str] | Path | str,
    *,
    model: str | None = None,
    face: str | int = "auto",
    device: str | None = None,
    sheet: Path | str | None = None,
) -> PhotoCheck:
    """Say of each photo whether `enroll` would use it, and why not; nothing is learned.

    Args:
        photos: Files, folders and patterns.
        model: Base model, which decides whether drawings or photographs are looked at.
        face: Which face where photos show several, as for `enroll`.
        device: "auto", "cpu", "cuda", "cuda:1"; as the user's settings say if None.
        sheet: Where to write a contact sheet, a .png or .jpg file; None for none.

    Raises:
        PhotoError: A path does not exist, or a folder holds no pictures.
        ModelError: The weights for finding faces are missing, or there is no such model.
        OutputError: The sheet cannot be written.
    """
    files = photo_paths(photos)
    if sheet is not None:
        check_output(sheet)
    find_photos(files, on_problem=lambda problem: None)  # a wrong path is better found before the networks load
    source = chosen_source(model)
    if "/" not in source:  # a misspelt name; a hub id may be fetched later, and is not needed for looking
        check_model(source)
    builtin = source == BUILTIN
    finder = finder_for(builtin, device or read_setting("device"), read_setting("detector"))
    target = None if sheet is None else user_path(sheet)
    intake = judge_photos(files, finder, IntakeOptions(_SIZE_PX[builtin], face), besides=target)
    if target is not None:
        save_sheet(check_sheet(intake, finder), target)
    return PhotoCheck(intake.verdicts, intake.warnings, target)

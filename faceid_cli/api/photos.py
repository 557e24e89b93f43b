"""Checking photos before anything is learned from them, and the sheets that show what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api.base_models import chosen_source
from faceid_cli.errors import OutputError
from faceid_cli.model_files import BUILTIN
from faceid_cli.settings import read_setting

if TYPE_CHECKING:
    from PIL import Image

    from faceid_cli.faces.finder import FaceFinder
    from faceid_cli.faces.intake import Intake
    from faceid_cli.faces.look import Look
    from faceid_cli.faces.verdict import PhotoVerdict
    from faceid_cli.types import FaceCrop

_SIZE_PX = {True: 128, False: 512}
"""Side of the crops, for the built-in model and for others: large enough to measure in."""

_MOST_ON_SHEET = 60
_CELL_PX = 360


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
    device: str = "auto",
    sheet: Path | str | None = None,
) -> PhotoCheck:
    """Say of each photo whether `enroll` would use it, and why not; nothing is learned.

    Args:
        photos: Files, folders and patterns.
        model: Base model, which decides whether drawings or photographs are looked at.
        face: Which face where photos show several, as for `enroll`.
        device: "auto", "cpu", "cuda", "cuda:1".
        sheet: Where to write a contact sheet, a .png or .jpg file; None for none.

    Raises:
        PhotoError: A path does not exist, or a folder holds no pictures.
        ModelError: The weights for finding faces are missing.
        OutputError: The sheet cannot be written.
    """
    from faceid_cli.faces.cutting import IntakeOptions
    from faceid_cli.faces.finder import finder_for
    from faceid_cli.faces.intake import judge_photos
    from faceid_cli.photos import find_photos

    files = [Path(photo) for photo in ([photos] if isinstance(photos, str | Path) else photos)]
    find_photos(files, on_problem=lambda problem: None)  # a wrong path is better found before the networks load
    builtin = chosen_source(model) == BUILTIN
    finder = finder_for(builtin, device, read_setting("detector"))
    intake = judge_photos(files, finder, IntakeOptions(_SIZE_PX[builtin], face))
    target = None
    if sheet is not None:
        target = Path(sheet).expanduser()
        save_sheet(check_sheet(intake, finder), target)
    return PhotoCheck(intake.verdicts, intake.warnings, target)


def check_sheet(intake: Intake, finder: FaceFinder) -> Image.Image:
    """Each photo with its faces, beside it the crop with landmarks and mask, below it the verdict."""
    from faceid_cli.faces.marks import beside, mark_crop, mark_faces
    from faceid_cli.rendering.contact_sheet import contact_sheet

    crops = {crop.photo_path: crop for crop in intake.crops}
    tiles, captions = [], []
    for look, verdict in list(zip(intake.looks, intake.verdicts, strict=False))[:_MOST_ON_SHEET]:
        chosen = None if verdict.face is None else verdict.face - 1
        photo = _blank() if look.thumbnail is None else mark_faces(look.thumbnail, look.faces, look.size, chosen)
        crop = crops.get(look.path)
        cut = _blank() if crop is None else mark_crop(crop.image, crop.face, mask_of(crop, finder), crop.others)
        tiles.append(beside(photo, cut))
        captions.append(f"{look.path.name}: {verdict.grade}" + "".join(f", {reason}" for reason in verdict.reasons))
    return contact_sheet(tiles or [_blank()], captions or ["no photos"], cell_px=_CELL_PX)


def faces_sheet(looks: Sequence[Look]) -> Image.Image:
    """Photos with their faces numbered from the left, for choosing one."""
    from faceid_cli.faces.marks import mark_faces
    from faceid_cli.rendering.contact_sheet import contact_sheet

    shown = [look for look in looks if look.thumbnail is not None][:_MOST_ON_SHEET]
    tiles = [mark_faces(look.thumbnail, look.faces, look.size, None) for look in shown if look.thumbnail is not None]
    return contact_sheet(tiles or [_blank()], [look.path.name for look in shown] or [""], cell_px=_CELL_PX)


def mask_of(crop: FaceCrop, finder: FaceFinder | None) -> Image.Image:
    """The face in a crop: its outline where that can be told, else the oval in its box; mode "L"."""
    from PIL import Image

    from faceid_cli.faces.marks import oval_mask

    if crop.face is None:
        return Image.new("L", crop.image.size, 255)
    outline = finder.outline(crop.image, crop.face) if finder else None
    return outline if outline is not None else oval_mask(crop.image.size, crop.face)


def save_sheet(sheet: Image.Image, target: Path) -> Path:
    """Write a sheet; over an older one, since sheets are made again and again.

    Raises:
        OutputError: It cannot be written there.
    """
    try:
        sheet.save(target)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"cannot write {target}: {reason}", "give a .png or .jpg file in a folder that exists"
        ) from error
    return target


def _blank() -> Image.Image:
    from PIL import Image

    return Image.new("RGB", (_CELL_PX // 2, _CELL_PX // 2), (222, 219, 211))

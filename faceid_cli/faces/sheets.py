"""Sheets that show what was seen in photos: faces, crops, masks, and numbers to choose by."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from faceid_cli.contact_sheet import contact_sheet
from faceid_cli.errors import OutputError, PhotoError
from faceid_cli.faces.finder import FaceFinder
from faceid_cli.faces.intake import Intake
from faceid_cli.faces.look import Look
from faceid_cli.faces.marks import GRADE_COLORS, beside, close_ups, mark_crop, mark_faces, oval_mask
from faceid_cli.photo_files import read_photo
from faceid_cli.types import FaceCrop

_MOST_ON_SHEET = 60
_SIDE_PX = 360
_FONT_PX = 20


def check_sheet(intake: Intake, finder: FaceFinder) -> Image.Image:
    """Each photo with its faces, beside it the crop with landmarks and mask, below it the verdict.

    Where it is not clear which of several faces is meant, they are shown in place of the crop, large and numbered.
    """
    crops = {crop.photo_path: crop for crop in intake.crops}
    tiles, captions = [], []
    for look, verdict in list(zip(intake.looks, intake.verdicts, strict=False))[:_MOST_ON_SHEET]:
        chosen = None if verdict.face is None else verdict.face - 1
        photo = _blank() if look.thumbnail is None else mark_faces(look.thumbnail, look.faces, look.size, chosen)
        crop = crops.get(look.path)
        cut = _faces_of(look) if chosen is None and len(look.faces) > 1 else None
        if crop is not None:
            cut = mark_crop(crop.image, crop.face, mask_of(crop, finder), crop.others)
        tiles.append(beside(photo, cut, _SIDE_PX, GRADE_COLORS[verdict.grade]))
        captions.append(f"{look.path.name}: {verdict.grade}" + "".join(f", {reason}" for reason in verdict.reasons))
    return _sheet(tiles, captions)


def faces_sheet(looks: Sequence[Look]) -> Image.Image:
    """Photos with their faces numbered from the left, and beside each the same faces large, for choosing one."""
    shown = [look for look in looks if look.thumbnail is not None][:_MOST_ON_SHEET]
    tiles = [
        beside(mark_faces(look.thumbnail, look.faces, look.size, None), _faces_of(look), _SIDE_PX, GRADE_COLORS["fair"])
        for look in shown
        if look.thumbnail is not None
    ]
    return _sheet(tiles, [look.path.name for look in shown])


def mask_of(crop: FaceCrop, finder: FaceFinder | None) -> Image.Image:
    """The face in a crop: its outline where that can be told, else the oval in its box; mode "L"."""
    if crop.face is None:
        return Image.new("L", crop.image.size, 255)
    outline = crop.outline
    if outline is None and finder is not None:
        outline = finder.outline(crop.image, crop.face)
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
        full = getattr(error, "errno", None) == errno.ENOSPC
        hint = "free some space" if full else "give a .png or .jpg file in a folder that exists"
        raise OutputError(f"cannot write {target}: {reason}", hint) from error
    return target


def _sheet(tiles: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    if not tiles:
        return contact_sheet([_blank()], ["no photos"])
    columns = 1 if len(tiles) == 1 else 2 if len(tiles) <= 12 else 3
    return contact_sheet(tiles, captions, columns, (2 * _SIDE_PX, _SIDE_PX), _FONT_PX)


def _faces_of(look: Look) -> Image.Image | None:
    """The faces of a photo, large; the photo is read once more, because only a small copy was kept."""
    try:
        return close_ups(read_photo(look.path).image, look.faces, _SIDE_PX)
    except PhotoError:  # gone in the meantime
        return None


def _blank() -> Image.Image:
    return Image.new("RGB", (_SIDE_PX, _SIDE_PX), (222, 219, 211))

"""What enrolments were made of: the crops, masks and landmarks that training used, kept for the person's report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli import paths
from faceid_cli.errors import OutputError

if TYPE_CHECKING:
    from PIL import Image

    from faceid_cli.types import FaceCrop

INDEX = "photos.json"


def material_folder(identity_id: str) -> Path:
    """Folder of what belongs to an identity; ids are hexadecimal, so names never become paths."""
    return paths.material_dir() / identity_id


def keep_material(
    identity_id: str,
    crops: Sequence[FaceCrop],
    masks: Sequence[Image.Image],
    verdicts: Sequence[dict[str, Any]],
) -> Path:
    """Write crops and masks as PNG, and landmarks, boxes and verdicts as JSON, into the identity's folder.

    Args:
        identity_id: Whose.
        crops: What training used.
        masks: The face in each crop, mode "L".
        verdicts: What was said of each photo, as JSON values.

    Raises:
        OutputError: It cannot be written; nothing is kept then.
    """
    folder = material_folder(identity_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        entries = []
        for number, (crop, mask) in enumerate(zip(crops, masks, strict=True), start=1):
            crop.image.save(folder / f"crop-{number:03d}.png")
            mask.save(folder / f"mask-{number:03d}.png")
            entries.append(
                {
                    "crop": f"crop-{number:03d}.png",
                    "mask": f"mask-{number:03d}.png",
                    "photo": crop.photo_path.name,
                    "photo_sha256": crop.photo_sha256,
                    "face": asdict(crop.face) if crop.face else None,
                    "others": [asdict(box) for box in crop.others],
                }
            )
        index = {"version": 1, "crops": entries, "photos": list(verdicts)}
        (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        remove_material(identity_id)
        raise OutputError(
            f"cannot write {folder}: {error.strerror}", "free some space, or enroll with --no-keep-photos"
        ) from error
    return folder


def remove_material(identity_id: str) -> None:
    """Delete everything in the identity's folder, and the folder."""
    shutil.rmtree(material_folder(identity_id), ignore_errors=True)


def stray_material(known_ids: Iterable[str]) -> list[Path]:
    """What lies in the folder of material and belongs to no identity."""
    known = set(known_ids)
    return sorted(path for path in paths.material_dir().glob("*") if path.name not in known)


def registry_backups() -> list[Path]:
    """Copies of the registry from before an update; they hold what people had in it then."""
    file = paths.registry_file()
    return sorted(file.parent.glob(f"{file.name}.*.bak"))

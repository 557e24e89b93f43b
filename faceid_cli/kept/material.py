"""What enrolments were made of: the crops, masks and landmarks that training used, kept for the person's report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.errors import OutputError
from faceid_cli.kept import foreign, paths
from faceid_cli.kept.files import make_folder, make_private, write_atomically

if TYPE_CHECKING:
    from PIL import Image

    from faceid_cli.types import FaceCrop

INDEX = "photos.json"
SCORES = "scores.json"
_PREVIEW = re.compile(r"preview-(\d+)\.png")


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
        identity_id: The person's id in the registry, which names the folder.
        crops: What training used.
        masks: The face in each crop, mode "L".
        verdicts: What was said of each photo, as JSON values; where there is one, a small copy of the photo under
            "thumbnail".

    Raises:
        OutputError: It cannot be written; nothing is kept then.
    """
    folder = material_folder(identity_id)
    try:
        make_folder(folder)
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
        photos = [_without_picture(record, folder, number) for number, record in enumerate(verdicts, start=1)]
        index = {"version": 1, "crops": entries, "photos": photos}
        (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        make_private(folder)
    except OSError as error:
        remove_material(identity_id)
        raise OutputError(
            f"cannot write {folder}: {error.strerror}", "free some space, or enroll with --no-keep-photos"
        ) from error
    return folder


def _without_picture(record: dict[str, Any], folder: Path, number: int) -> dict[str, Any]:
    """Save the small copy of a photo, and put its file name in its place."""
    if record.get("thumbnail") is None:
        return record
    name = f"photo-{number:03d}.jpg"
    record["thumbnail"].save(folder / name, quality=90)
    return record | {"thumbnail": name}


def keep_previews(identity_id: str, folder: Path) -> None:
    """Take the sample pictures of a training run over into the identity's folder.

    Raises:
        OutputError: It cannot be written; nothing is kept then.
    """
    target = material_folder(identity_id)
    try:
        make_folder(target)
        for file in sorted(folder.glob("preview-*.png")):
            shutil.copy(file, target / file.name)
        make_private(target)
    except OSError as error:
        remove_material(identity_id)
        raise OutputError(f"cannot write {target}: {error.strerror}", "free some space") from error


def preview_files(folder: Path) -> dict[int, Path]:
    """Samples in a folder, by the number of steps that were done, in their order."""
    found = {int(match[1]): path for path in folder.glob("preview-*.png") if (match := _PREVIEW.fullmatch(path.name))}
    return dict(sorted(found.items()))


def keep_json(identity_id: str, name: str, data: dict[str, Any]) -> Path:
    """Write a JSON file into the identity's folder, over an older one.

    Raises:
        OutputError: It cannot be written.
    """
    path = material_folder(identity_id) / name
    write_atomically(path, (json.dumps(data, indent=1) + "\n").encode())
    return path


def read_json(identity_id: str, name: str) -> dict[str, Any] | None:
    """Read such a file; None where there is none, or a damaged one."""
    try:
        content = foreign.read_json(material_folder(identity_id) / name)  # it may come from a backup
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def remove_material(identity_id: str) -> None:
    """Delete everything in the identity's folder, and the folder."""
    shutil.rmtree(material_folder(identity_id), ignore_errors=True)


def stray_material(known_ids: Iterable[str]) -> list[Path]:
    """What lies in the folder of material and belongs to no identity."""
    known = set(known_ids)
    return sorted(path for path in paths.material_dir().glob("*") if path.name not in known)

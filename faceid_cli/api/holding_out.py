"""Photos that are kept from the training, so that likeness is measured on what it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.errors import PhotoError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from faceid_cli.types import FaceCrop


def check_hold_out(count: int) -> None:
    """Refuse a number that no photos can answer to.

    Raises:
        UsageError: Below 0.
    """
    if count < 0:
        raise UsageError(f"photos to hold out must be 0 or more, not {count}")


def hold_out(
    crops: Sequence[FaceCrop], masks: Sequence[Image], count: int
) -> tuple[list[FaceCrop], list[Image], list[FaceCrop]]:
    """Take the last photos out, with all their crops.

    Args:
        crops: In the order of the photos; several of one photo share its hash.
        masks: One a crop.
        count: How many photos.

    Returns:
        Crops and masks to learn from, and the crops that were held out.

    Raises:
        PhotoError: No photo would be left to learn from.
    """
    photos = list(dict.fromkeys(crop.photo_sha256 for crop in crops))
    if count and count >= len(photos):
        usable = "1 usable photo is" if len(photos) == 1 else f"{len(photos)} usable photos are"
        raise PhotoError(
            f"{usable} too few to hold out {count}: at least one is learned from",
            f"give {count + 1} or more, or --hold-out {max(len(photos) - 1, 0)}",
        )
    held = set(photos[len(photos) - count :]) if count else set()
    pairs = [(crop, mask) for crop, mask in zip(crops, masks, strict=True) if crop.photo_sha256 not in held]
    learned, kept_masks = [crop for crop, _ in pairs], [mask for _, mask in pairs]
    return learned, kept_masks, [crop for crop in crops if crop.photo_sha256 in held]


def held_out_files(crops: Sequence[FaceCrop]) -> dict[str, str]:
    """What a run remembers of them: the photos' files and their SHA-256."""
    return {str(Path(crop.photo_path).absolute()): crop.photo_sha256 for crop in crops}

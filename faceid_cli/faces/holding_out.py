"""Photos that are kept from the training, so that likeness is measured on what it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceid_cli.errors import PhotoError
from faceid_cli.types import FaceCrop


def hold_out(crops: Sequence[FaceCrop], count: int) -> tuple[list[FaceCrop], list[FaceCrop]]:
    """Take the last photos out, with all their crops.

    Args:
        crops: In the order of the photos; several of one photo share its hash.
        count: How many photos.

    Returns:
        The crops to learn from, and those that were held out.

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
    return (
        [crop for crop in crops if crop.photo_sha256 not in held],
        [crop for crop in crops if crop.photo_sha256 in held],
    )


def held_out_files(crops: Sequence[FaceCrop]) -> dict[str, str]:
    """What a run remembers of them: the photos' files and their SHA-256."""
    return {str(Path(crop.photo_path).absolute()): crop.photo_sha256 for crop in crops}

"""Where a person's token looks, and where the class word looked in its place: kept for the report. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

from faceid_cli.kept.files import make_folder, make_private, output_error
from faceid_cli.kept.material import keep_json, material_folder, read_json

_INDEX = "attention.json"


@dataclass(frozen=True)
class AttentionMaps:
    """Heat maps over the same picture before and after the training.

    Attributes:
        prompt: Of both, with the person as `<name>` at the time.
        seed: Of the noise that both pictures began with.
        labels: What each column shows; the first is the picture itself.
        before: Files with the class word in the person's place.
        after: Files with the person's token.
    """

    prompt: str
    seed: int
    labels: tuple[str, ...]
    before: tuple[Path, ...]
    after: tuple[Path, ...]


def kept_maps(identity_id: str) -> AttentionMaps | None:
    """The maps that were made earlier, or None."""
    index = read_json(identity_id, _INDEX)
    if index is None:
        return None
    folder, told, seed = material_folder(identity_id), index.get("labels"), index.get("seed")
    labels = tuple(str(label) for label in told) if isinstance(told, list) else ()
    before, after = (
        tuple(_file(folder, side, number) for number in range(len(labels))) for side in ("before", "after")
    )
    if not labels or not all(path.is_file() for path in (*before, *after)):
        return None
    return AttentionMaps(str(index.get("prompt", "")), seed if isinstance(seed, int) else 0, labels, before, after)


def keep_maps(
    identity_id: str, prompt: str, seed: int, labels: list[str], before: list[Image], after: list[Image]
) -> AttentionMaps:
    """Keep maps with the person, over older ones.

    Raises:
        OutputError: They cannot be written.
    """
    folder = material_folder(identity_id)
    try:
        make_folder(folder)
        for side, images in (("before", before), ("after", after)):
            for number, image in enumerate(images):
                image.save(_file(folder, side, number))
        make_private(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    keep_json(identity_id, _INDEX, {"version": 1, "prompt": prompt, "seed": seed, "labels": labels})
    kept = kept_maps(identity_id)
    assert kept is not None
    return kept


def _file(folder: Path, side: str, number: int) -> Path:
    return folder / f"attention-{side}-{number:02d}.png"

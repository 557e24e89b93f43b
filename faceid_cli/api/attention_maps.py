"""Where a person's token looks, and where the class word looked in its place: made once, and kept for the report."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api.base_models import OnNote, options_for, source_for
from faceid_cli.api.material import keep_json, material_folder, read_json
from faceid_cli.api.pictures import OnProgress
from faceid_cli.config import RenderConfig
from faceid_cli.identity_file import load_identity
from faceid_cli.rendering.prompts import place_people
from faceid_cli.types import Identity

if TYPE_CHECKING:
    from PIL.Image import Image

    from faceid_cli.rendering.attend import Attention

_INDEX = "attention.json"
_PROMPT = "holding a basketball, eiffel tower"
_SEED = 0


@dataclass(frozen=True)
class AttentionMaps:
    """Heat maps over the same picture before and after the training.

    Attributes:
        prompt: Of both, with the person as `<name>` at the time.
        seed: Of both.
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
    folder, labels = material_folder(identity_id), tuple(str(label) for label in index.get("labels", ()))
    before, after = (
        tuple(_file(folder, side, number) for number in range(len(labels))) for side in ("before", "after")
    )
    if not labels or not all(path.is_file() for path in (*before, *after)):
        return None
    return AttentionMaps(str(index.get("prompt", "")), int(index.get("seed", 0)), labels, before, after)


def make_maps(
    person: Identity, config: RenderConfig, on_progress: OnProgress | None = None, on_note: OnNote | None = None
) -> AttentionMaps:
    """Render twice with one seed, without and with what was learned, and keep where the person's place looks.

    Args:
        person: Whose.
        config: How to render.
        on_progress: Called with (sampler steps done, steps in all) of both pictures together.
        on_note: Called with a line worth telling the user.

    Raises:
        ModelError: The base model is missing or has changed.
        IdentityFileError: The person's file is missing or damaged.
        OutputError: The maps cannot be kept.
        OutOfMemoryError: The picture does not fit.
    """
    source, stored = source_for([person], None, on_note), load_identity(person.path)

    # These bring in torch, which takes seconds.
    from faceid_cli.backbone import load_base_model
    from faceid_cli.rendering.attend import render_with_attention
    from faceid_cli.tokens import tokens_from_arrays

    base = load_base_model(source, config.device, config.precision, options_for([person]))
    people = {person.name: tokens_from_arrays(stored.keys, stored.values, stored.metadata.class_word)}
    placed = place_people(_PROMPT, [person.name])
    sides = []
    for number, likeness in enumerate((0.0, 1.0)):  # without likeness the tokens are the class word
        dialled = dataclasses.replace(config, likeness=likeness)
        report = None if on_progress is None else _half(on_progress, number)
        sides.append(
            render_with_attention(base, placed, people, _SEED, dialled, [f"<{person.name}>"], on_progress=report)
        )
    return _kept(person.id, placed, *_columns(*sides))


def _half(on_progress: OnProgress, number: int) -> OnProgress:
    return lambda done, total: on_progress(number * total + done, 2 * total)


def _columns(before: Attention, after: Attention) -> tuple[list[str], list[Image], list[Image]]:
    """Labels and pictures of the columns; the colours of a column share one scale."""
    from faceid_cli.rendering.heat_maps import overlay

    labels, pairs = ["picture"], [(before.render.image, after.render.image)]
    stages = len(after.stages[0])
    names = ["all of the sampling", *(f"stage {number} of {stages}" for number in range(1, stages + 1))]
    if stages == 1:
        names = names[:1]
    cells = zip((before.averages[0], *before.stages[0]), (after.averages[0], *after.stages[0]), strict=True)
    for name, (first, second) in zip(names, cells, strict=False):
        if first is None or second is None:  # no sampler step fell into this stage
            continue
        heats = first.float().cpu().numpy(), second.float().cpu().numpy()
        least, most = min(float(heat.min()) for heat in heats), max(float(heat.max()) for heat in heats)
        pictures = (before.render.image, after.render.image)
        shown = [overlay(picture, heat, least, most) for picture, heat in zip(pictures, heats, strict=True)]
        labels.append(name)
        pairs.append((shown[0], shown[1]))
    return labels, [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _kept(identity_id: str, prompt: str, labels: list[str], before: list[Image], after: list[Image]) -> AttentionMaps:
    from faceid_cli.rendering.save import output_error

    folder = material_folder(identity_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for side, images in (("before", before), ("after", after)):
            for number, image in enumerate(images):
                image.save(_file(folder, side, number))
    except OSError as error:
        raise output_error(folder, error) from error
    keep_json(identity_id, _INDEX, {"version": 1, "prompt": prompt, "seed": _SEED, "labels": labels})
    kept = kept_maps(identity_id)
    assert kept is not None
    return kept


def _file(folder: Path, side: str, number: int) -> Path:
    return folder / f"attention-{side}-{number:02d}.png"

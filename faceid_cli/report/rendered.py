"""What a report begins with: pictures of the person, and in words whether the training went as it should."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from PIL import Image

from faceid_cli.photo_files import opened_picture
from faceid_cli.registry.store import Registry
from faceid_cli.report import ReportPicture
from faceid_cli.report.attention_maps import AttentionMaps
from faceid_cli.types import Identity

_MOST_RENDERS = 6
_FEWEST_STEPS = 20


def rendered_pictures(
    person: Identity, maps: AttentionMaps | None, previews: Sequence[ReportPicture]
) -> list[ReportPicture]:
    """The picture that the maps were made from, the last sample of the training, and the latest that still exist.

    Args:
        person: Whose pictures they are.
        maps: Attention maps, whose first column is the picture itself; or None.
        previews: Samples over the training, in order.
    """
    found = []
    if maps is not None and (picture := _picture(maps.after[0])) is not None:
        found.append(ReportPicture(picture, f'"{maps.prompt}", seed {maps.seed}'))
    if previews:
        found.append(ReportPicture(previews[-1].image, f"after {previews[-1].caption}"))
    with Registry.open(create=False) as registry:
        records = registry.renders_of(person.name)
    shown = 0
    for record in reversed(records):
        if shown < _MOST_RENDERS and (picture := _picture(record.render.path)) is not None:
            found.append(ReportPicture(picture, f'"{record.render.prompt}", seed {record.render.seed}'))
            shown += 1
    return found


def losses_in_words(losses: Sequence[tuple[float, float]]) -> str:
    """Say whether the curves look as they should: one sentence a loss, with what to do where they do not.

    Args:
        losses: (reconstruction, attention) a step.
    """
    if not losses:
        return ""
    if not all(math.isfinite(value) for pair in losses for value in pair):
        return "The losses are not all numbers, so nothing sound was learned: enroll again with --precision float32."
    if len(losses) < _FEWEST_STEPS:
        return f"{len(losses)} steps are too few to tell from the curves whether it went well."
    said = [_reconstruction([pair[0] for pair in losses])]
    if any(pair[1] for pair in losses):
        said.append(_attention([pair[1] for pair in losses]))
    return " ".join(said)


def _reconstruction(values: Sequence[float]) -> str:
    first, last, noise = _ends(values)
    ends = f"from {first:.3g} to {last:.3g}"
    if last > first + noise and last > 1.1 * first:
        return f"The reconstruction loss rose {ends}, as it should not: try half the --learning-rate."
    if last < first - noise:
        return f"The reconstruction loss fell {ends}, as it should."
    return (
        f"The reconstruction loss hardly changed ({ends}), which is usual: every step has other noise, and that "
        "matters more than the person does. The pictures tell whether they were learned."
    )


def _attention(values: Sequence[float]) -> str:
    first, last, noise = _ends(values)
    ends = f"from {first:.3g} to {last:.3g}"
    if last > first + noise and last > 1.1 * first:
        return (
            f"The attention loss rose {ends}, as it should not: the word looks beside the face; try a larger --lambda."
        )
    if last < first - noise:
        return f"The attention loss fell {ends}, as it should: the word looks at the face more than at first."
    return f"The attention loss stayed where it was ({ends}), which is as it should be where it began low."


def _ends(values: Sequence[float]) -> tuple[float, float, float]:
    """Means of the first and the last fifth, and what chance alone may make of their difference."""
    count = max(len(values) // 5, 2)
    first, last = values[:count], values[-count:]
    return fmean(first), fmean(last), 2 * math.hypot(stdev(first), stdev(last)) / math.sqrt(count)


def _picture(path: object) -> Image.Image | None:
    """A picture; None where it is gone or damaged."""
    try:
        with opened_picture(Path(str(path))) as image:
            return image.convert("RGB")
    except Exception:  # decoders raise nearly anything on damaged files
        return None

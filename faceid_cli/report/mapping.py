"""Making the attention maps of a report: two renderings, without and with what was learned."""

from __future__ import annotations

from dataclasses import replace

from PIL.Image import Image

from faceid_cli.backbone import BaseModel
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.attend import Attention, render_with_attention
from faceid_cli.rendering.heat_maps import overlay
from faceid_cli.rendering.prompts import place_people
from faceid_cli.report.attention_maps import AttentionMaps, keep_maps
from faceid_cli.types import Identity, IdentityTokens, OnProgress

_PROMPT = "holding a basketball, eiffel tower"
_SEED = 0


def make_maps(
    base: BaseModel,
    person: Identity,
    tokens: IdentityTokens,
    config: RenderConfig,
    on_progress: OnProgress | None = None,
) -> AttentionMaps:
    """Render twice with one seed, without and with what was learned, and keep where the person's place looks.

    Args:
        base: The base model that the person was learned on.
        person: Whose maps they are, and with whom they are kept.
        tokens: What was learned of them.
        config: How to render.
        on_progress: Called with (sampler steps done, steps in all) of both pictures together.

    Raises:
        OutputError: The maps cannot be kept.
        OutOfMemoryError: The picture does not fit.
    """
    placed = place_people(_PROMPT, [person.name])
    sides = []
    for number, likeness in enumerate((0.0, 1.0)):  # without likeness the tokens are the class word
        dialled = replace(config, likeness=likeness)
        report = None if on_progress is None else _half(on_progress, number)
        marks = [f"<{person.name}>"]
        sides.append(
            render_with_attention(base, placed, {person.name: tokens}, _SEED, dialled, marks, on_progress=report)
        )
    return keep_maps(person.id, placed, _SEED, *_columns(*sides))


def _half(on_progress: OnProgress, number: int) -> OnProgress:
    return lambda done, total: on_progress(number * total + done, 2 * total)


def _columns(before: Attention, after: Attention) -> tuple[list[str], list[Image], list[Image]]:
    """Labels and pictures of the columns; the colours of a column share one scale."""
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

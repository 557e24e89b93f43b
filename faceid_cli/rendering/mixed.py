"""One batch of pictures whose prompts, people and seeds differ: what is sampled alike shares the UNet's work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from PIL import Image

from faceid_cli.backbone import BaseModel
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.batches import render_batch
from faceid_cli.rendering.decoding import Lost
from faceid_cli.rendering.generate import settings_of, told_layout
from faceid_cli.rendering.layouts import Cast, Layout
from faceid_cli.rendering.passes import Contexts, OnStep
from faceid_cli.rendering.placing import Placed, Placing
from faceid_cli.rendering.plan import Plan
from faceid_cli.rendering.record import digest_of
from faceid_cli.rendering.wording import Wording
from faceid_cli.types import IdentityTokens, Render, RenderRequest


@dataclass(frozen=True)
class MixedPicture:
    """One picture of a mixed batch.

    Attributes:
        wording: Its prompts. All of a batch have equal shapes, see `shape_of`.
        seed: Of its noise.
        config: How it was ordered; of a batch, only options of the text differ (`Option.is_of_text`).
        cast: Its people where it has several, of a batch as many in each; None to leave to the prompt where they are.
        words: Tokens of other words in its prompt.
    """

    wording: Wording
    seed: int
    config: RenderConfig
    cast: Cast | None = None
    words: Mapping[str, IdentityTokens] = field(default_factory=dict)


def shape_of(wording: Wording) -> tuple[object, ...]:
    """What has to be equal for prompts to share a batch: the numbers of stages and texts, and the contexts' shapes."""
    return wording.stages, wording.texts, *((name, tuple(part.shape)) for name, part in wording.contexts.items())


def render_mixed(
    base: BaseModel,
    pictures: Sequence[MixedPicture],
    plan: Plan,
    mask: Image.Image | None = None,
    on_step: OnStep | None = None,
    placing: Placing | None = None,
) -> list[Render | Lost]:
    """Render pictures together; each is what `generate.render` makes of it alone, to within rounding.

    Args:
        base: The base model; it is left as found.
        pictures: At least one, of one shape.
        plan: How all of them are made.
        mask: As of `generate.render`.
        on_step: Called with the sampler steps done.
        placing: Finds where people are, in pictures with several.

    Returns:
        A render for each picture, or what became of it, in order.

    Raises:
        OutOfMemoryError: They do not fit at once.
    """
    contexts, seeds = _contexts([each.wording for each in pictures]), [each.seed for each in pictures]
    casts = [Placed(each.cast, each.seed, each.config, each.words) for each in pictures if each.cast is not None]
    layouts = placing.layouts(casts, plan) if placing is not None else []
    images = render_batch(base, contexts, pictures[0].wording.stages, seeds, plan, on_step, layouts)
    # Of one prompt with several seeds `generate` makes the same, and a replay can make it again.
    is_one = len({id(each.wording.contexts) for each in pictures}) == 1
    return [
        image
        if isinstance(image, Lost)
        else _render(base, each, image, plan, mask, tuple(seeds) if is_one else (each.seed,) * len(seeds), layout)
        for each, image, layout in zip(pictures, images, layouts or [()] * len(images), strict=True)
    ]


def _contexts(wordings: Sequence[Wording]) -> Contexts:
    first = wordings[0].contexts
    if all(each.contexts is first for each in wordings):
        return first  # as `generate` does it for many seeds of one prompt
    return {name: torch.cat([each.contexts[name] for each in wordings]) for name in first}


def _render(
    base: BaseModel,
    picture: MixedPicture,
    image: Image.Image,
    plan: Plan,
    mask: Image.Image | None,
    batch: tuple[int, ...],
    layout: Layout,
) -> Render:
    wording = picture.wording
    settings = settings_of(base, wording, replace(plan, config=picture.config), mask)
    request = RenderRequest(wording.placed, wording.names, picture.seed)
    settings |= told_layout(picture.cast, layout)
    return Render(image, request, {**settings, "seed": picture.seed, "batch": batch, "pixels": digest_of(image)})

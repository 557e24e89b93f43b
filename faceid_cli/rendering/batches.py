"""One batch of pictures, with all its passes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from faceid_cli.backbone import BaseModel, at_work, memory_errors
from faceid_cli.rendering.decoding import Lost
from faceid_cli.rendering.layouts import Layout
from faceid_cli.rendering.passes import Contexts, OnStep
from faceid_cli.rendering.plan import Plan
from faceid_cli.rendering.wording import memory_hint


def render_batch(
    base: BaseModel,
    contexts: Contexts,
    stages: int,
    seeds: Sequence[int],
    plan: Plan,
    on_step: OnStep | None,
    layouts: Sequence[Layout] = (),
) -> list[Image.Image | Lost]:
    """All passes of some pictures; contexts of one row for all of them, or of one for each.

    With layouts, one for each picture, the contexts hold a text for each region, see `wording.Wording`.
    """
    with memory_errors(memory_hint(base, len(seeds))), torch.no_grad(), at_work(base, "unet", "vae"):
        return plan.run(base, contexts, stages, seeds, on_step, layouts)

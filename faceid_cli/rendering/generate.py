"""Rendering people into pictures with the base model's own, stock pipeline (paper section 3.2).

A seed stands for a picture: its noise is drawn on the CPU from a generator of its own, in float32, whatever the device
and the batch. Alone and in a batch the arithmetic differs only in the order of rounding: on the CPU in float32 the
pixels agree to within 2 of 255 levels, nearly all of them exactly.

Shapes: B pictures, S stages, T text positions, C width of the encoded text.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import diffusers
import torch
import transformers
from PIL import Image

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import OutOfMemoryError
from faceid_cli.orders import RenderConfig, check_seed
from faceid_cli.orders.sampling import Sampling
from faceid_cli.rendering.batches import render_batch
from faceid_cli.rendering.control import Control
from faceid_cli.rendering.decoding import Lost
from faceid_cli.rendering.finite import is_hopeless, lost_pictures
from faceid_cli.rendering.layouts import Cast, Layout, written_layout
from faceid_cli.rendering.passes import OnStep
from faceid_cli.rendering.placing import Placed, Placing
from faceid_cli.rendering.plan import Plan, plan_rendering
from faceid_cli.rendering.record import digest_of
from faceid_cli.rendering.wording import Wording, Wordings
from faceid_cli.types import IdentityTokens, OnNote, OnProgress, Render, RenderRequest
from faceid_cli.version import __version__


def render(
    base: BaseModel,
    placed: str,
    people: Mapping[str, IdentityTokens],
    seeds: Sequence[int],
    config: RenderConfig,
    on_progress: OnProgress | None = None,
    init: Image.Image | None = None,
    words: Mapping[str, IdentityTokens] | None = None,
    mask: Image.Image | None = None,
    control: Control | None = None,
    cast: Cast | None = None,
) -> list[Render]:
    """Render one picture for each seed, in order.

    Args:
        base: The base model; it is left as found, also after an error.
        placed: A prompt in which people are marked by `<name>`, see `prompts.place_people`.
        people: Tokens of the people in the prompt.
        seeds: One for each picture; any number, also repeated.
        config: Sampler settings. `batch_size` changes speed and memory, not the pictures.
        on_progress: Called after every sampler step.
        init: A picture to start from, of any size; `config.strength` says how much of it may change.
        words: Tokens of other words that the prompt marks as `<word>`, such as textual-inversion files of others.
        mask: Of the size of `init`, light where it may change: only a part around that is rendered, and the pictures
            have the size of `init`.
        control: A ControlNet, and the picture that it follows.
        cast: The people of a picture with several, each of whom gets a region and a text of their own; None to leave
            to the prompt alone where they are.

    Raises:
        UsageError: In its subclasses: seeds out of range, marks that mean nobody, a prompt that is too long.
        ModelMismatchError: Tokens that do not fit the base model.
        NotFiniteError: NaN or infinity in weights, vectors or a picture: says in which of them, and what helps.
        OutOfMemoryError: Says to render fewer at once.
    """
    batches = render_batches(base, placed, people, seeds, config, on_progress, init, words, mask, control, None, cast)
    return [picture for batch in batches for picture in batch]


def render_batches(
    base: BaseModel,
    placed: str,
    people: Mapping[str, IdentityTokens],
    seeds: Sequence[int],
    config: RenderConfig,
    on_progress: OnProgress | None = None,
    init: Image.Image | None = None,
    words: Mapping[str, IdentityTokens] | None = None,
    mask: Image.Image | None = None,
    control: Control | None = None,
    on_note: OnNote | None = None,
    cast: Cast | None = None,
) -> Iterator[list[Render]]:
    """As `render`, batch by batch, so that finished pictures can be saved while others are still to come.

    `on_note` is called with a line worth telling the user, such as that a stage has no sampler step.

    Everything is checked, and the prompt encoded, before this returns. Pictures whose numbers are not finite are left
    out; the error that says which comes after the last batch, or at once where no other picture could be better.
    """
    for seed in seeds:
        check_seed(seed)
    wordings = Wordings(base)
    wording = wordings.of(placed, people, config, words, None if cast is None else cast.scene)
    placing = Placing(base, wordings, on_note)
    plan = plan_rendering(base, config, init, mask, control)
    settings = settings_of(base, wording, plan, mask)
    if on_note is not None:
        for note in idle_stages(settings["stage_steps"], plan.config.sampler.scheduler):
            on_note(note)

    def batches() -> Iterator[list[Render]]:
        done, start, size = 0, 0, config.batch_size
        lost: list[tuple[int, Lost]] = []
        network = None if control is None else control.network
        while start < len(seeds):
            batch = seeds[start : start + size]
            total = done + plan.steps * -(-(len(seeds) - start) // size)
            try:
                report = _report(on_progress, done, total)
                pictures = [Placed(cast, seed, config, words or {}) for seed in batch] if cast is not None else []
                layouts = placing.layouts(pictures, plan)
                images = render_batch(base, wording.contexts, wording.stages, batch, plan, report, layouts)
            except OutOfMemoryError:
                if not config.fit_batch or len(batch) == 1:
                    raise
                size = len(batch) // 2
                continue
            done, start = done + plan.steps, start + len(batch)
            found = list(zip(batch, images, strict=True))
            lost += [(seed, image) for seed, image in found if isinstance(image, Lost)]
            where = {seed: told_layout(cast, layout) for seed, layout in zip(batch, layouts, strict=False)}
            sound = [
                Render(
                    image,
                    RenderRequest(wording.placed, wording.names, seed),
                    {
                        **settings,
                        **where.get(seed, {}),
                        "seed": seed,
                        "batch": tuple(batch),
                        "pixels": digest_of(image),
                    },
                )
                for seed, image in found
                if isinstance(image, Image.Image)
            ]
            if not sound and is_hopeless(base, network):
                break
            yield sound
        if lost:
            raise lost_pictures(base, lost, len(seeds), plan.config, network)

    return batches()


def settings_of(base: BaseModel, wording: Wording, plan: Plan, mask: Image.Image | None) -> dict[str, Any]:
    """All that `RenderMetadata` holds beside people and seed: how the picture was ordered, and what that came to."""
    control = plan.control
    return {
        **{field.name: getattr(plan.config, field.name) for field in fields(Sampling)},
        "prompt": wording.placed,
        "width": plan.width,
        "height": plan.height,
        "base_model": base.source,
        "base_fingerprint": base.fingerprint,
        "precision": str(base.dtype).removeprefix("torch."),
        "additions": base.additions,
        "init": digest_of(plan.init),
        "mask": digest_of(mask),
        "strength": 1.0 if plan.strength is None else float(plan.strength),
        "control": "" if control is None else control.kind,
        "control_model": "" if control is None else control.name,
        "control_image": "" if control is None else digest_of(control.image),
        "versions": _versions(),
        "device": _device_name(base),
        "stage_steps": plan.steps_of_stages(base, wording.stages),
    }


def told_layout(cast: Cast | None, layout: Layout) -> dict[str, Any]:
    """What the settings of a picture say of where its people are."""
    return {} if cast is None else {"layout": cast.how, "region": written_layout(cast.scene.figures, layout)}


def idle_stages(stage_steps: Sequence[int], scheduler: str) -> Iterator[str]:
    """Say which stages have no sampler step, beside those that a picture to start from leaves out at the beginning."""
    first = next(stage for stage, count in enumerate(stage_steps) if count)
    idle = [str(stage + 1) for stage, count in enumerate(stage_steps) if not count and stage > first]
    if idle:
        which = f"stage {idle[0]}" if len(idle) == 1 else f"stages {', '.join(idle)}"
        yield (
            f"no step of {scheduler} falls into {which} of {len(stage_steps)}, so what was learned for it is not used; "
            "more --steps, or another --scheduler, reach it"
        )


def _device_name(base: BaseModel) -> str:
    """Where the arithmetic is done, in a word or two."""
    kind = base.device.type
    return f"{kind} {torch.cuda.get_device_name(base.device) if kind == 'cuda' else platform.machine()}"


def _versions() -> dict[str, str]:
    return {
        "faceid": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
    }


def _report(on_progress: OnProgress | None, before: int, total: int) -> OnStep | None:
    return None if on_progress is None else lambda step: on_progress(min(before + step, total), total)

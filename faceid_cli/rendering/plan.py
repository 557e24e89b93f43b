"""From settings and guides to passes: what is rendered first, what after it, and what becomes of the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageOps

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import UsageError
from faceid_cli.orders import RenderConfig
from faceid_cli.photo_files import flattened
from faceid_cli.rendering.control import Control
from faceid_cli.rendering.decoding import Lost
from faceid_cli.rendering.inpaint import Patch, plan_patch
from faceid_cli.rendering.layouts import Layout
from faceid_cli.rendering.passes import Contexts, OnStep, Pass, run_pass, steps_taken
from faceid_cli.rendering.schedulers import steps_of_stages

_STEP_PX = 8


@dataclass(frozen=True)
class Plan:
    """How a picture is made.

    Attributes:
        config: How to sample, both passes.
        width: Of the first pass, in pixels.
        height: Of the first pass, in pixels.
        init: The picture to start from, RGB, or None.
        patch: The part of it that is rendered, or None for all.
        control: The ControlNet, or None.
    """

    config: RenderConfig
    width: int
    height: int
    init: Image.Image | None
    patch: Patch | None
    control: Control | None

    @property
    def strength(self) -> float | None:
        """How much of the picture to start from may change; None without one."""
        return None if self.init is None else self.config.strength_of(self.patch is not None)

    @property
    def steps(self) -> int:
        """Sampler steps of all passes together."""
        steps = self.config.sampler.steps
        second = steps_taken(steps, self.config.hires_strength) if self.config.hires > 1 else 0
        return steps_taken(steps, self.strength) + second

    def steps_of_stages(self, base: BaseModel, stages: int) -> tuple[int, ...]:
        """How many sampler steps fall into each stage, noisiest first, in all passes together.

        Raises:
            UsageError: The scheduler cannot take what the base model predicts.
        """
        steps, name, *_ = self.config.sampler
        counts = [steps_of_stages(base, name, steps, steps_taken(steps, self.strength), stages)]
        if self.config.hires > 1:
            counts.append(steps_of_stages(base, name, steps, steps_taken(steps, self.config.hires_strength), stages))
        return tuple(map(sum, zip(*counts, strict=True)))

    def run(
        self,
        base: BaseModel,
        contexts: Contexts,
        stages: int,
        seeds: Sequence[int],
        on_step: OnStep | None,
        layouts: Sequence[Layout] = (),
    ) -> list[Image.Image | Lost]:
        """Render one picture for each seed, with the regions of its people where it has several; arguments as of
        `passes.run_pass`."""
        if self.patch is not None:
            layouts = [tuple(self.patch.region(region) for region in layout) for layout in layouts]
        images = run_pass(base, contexts, stages, replace(self._first(base, seeds), layouts=layouts), on_step)
        first = {row: image for row, image in enumerate(images) if isinstance(image, Image.Image)}
        if self.config.hires > 1 and first:
            done = steps_taken(self.config.sampler.steps, self.strength)
            work = self._second([seeds[row] for row in first], list(first.values()))
            work = replace(work, layouts=[layouts[row] for row in first] if layouts else ())
            rows = {name: part if len(part) == 1 else part[list(first)] for name, part in contexts.items()}
            enlarged_ones = run_pass(base, rows, stages, work, _later(on_step, done))
            for row, image in zip(first, enlarged_ones, strict=True):
                images[row] = image
        if self.patch is None or self.init is None:
            return images
        return [image if isinstance(image, Lost) else self.patch.paste(self.init, image) for image in images]

    def _first(self, base: BaseModel, seeds: Sequence[int]) -> Pass:
        size = (self.width, self.height) if self.patch is None else self.patch.size
        free, start = None, None
        if self.patch is not None and self.init is not None:
            start, free = self.patch.cut(self.init), self.patch.free(int(base.pipeline.vae_scale_factor))
        elif self.init is not None:
            start = ImageOps.fit(self.init, size, Image.Resampling.LANCZOS)
        starts = [] if start is None else [start] * len(seeds)
        work = self._pass(seeds, size, self._control(size))
        return replace(work, starts=starts, strength=self.strength or 1.0, free=free)

    def _second(self, seeds: Sequence[int], images: Sequence[Image.Image]) -> Pass:
        size = enlarged(self.width, self.config.hires), enlarged(self.height, self.config.hires)
        starts = [image.resize(size, Image.Resampling.LANCZOS) for image in images]
        work = self._pass(seeds, size, self._control(size))
        return replace(work, starts=starts, strength=self.config.hires_strength)

    def _pass(self, seeds: Sequence[int], size: tuple[int, int], control: Image.Image | None) -> Pass:
        network = None if self.control is None else self.control.network
        return Pass(seeds, *size, self.config, network=network, control=control)

    def _control(self, size: tuple[int, int]) -> Image.Image | None:
        if self.control is None:
            return None
        if self.patch is None or self.init is None:
            return self.control.picture(size)
        whole = ImageOps.fit(self.control.image, self.init.size, Image.Resampling.LANCZOS)
        return self.control.picture(size, self.patch.cut(whole))


def plan_rendering(
    base: BaseModel,
    config: RenderConfig,
    init: Image.Image | None = None,
    mask: Image.Image | None = None,
    control: Control | None = None,
) -> Plan:
    """Settle sizes, regions, and what is left open of how to sample.

    Args:
        base: The base model.
        config: How to sample; without a width or height the base model's own size is taken.
        init: A picture to start from, of any size. Transparent is black, also of the mask.
        mask: Of the same size: light where it may change.
        control: A ControlNet, loaded, with the picture that it follows; None to follow nothing.

    Raises:
        UsageError: A mask without a picture, of another size or without light; a mask and a second pass.
    """
    config = config.suiting(base.is_builtin)
    width, height = config.width or base.size_px, config.height or base.size_px
    patch = None
    if mask is not None:
        if init is None or mask.size != init.size:
            raise UsageError("a mask needs a picture of its own size to start from")
        if config.hires > 1:
            raise UsageError(
                "a picture that is changed in part keeps its own size, so there is no second pass",
                "leave out --hires; --size says at which size the part is rendered",
            )
        patch = plan_patch(mask, width, height)
    return Plan(config, width, height, None if init is None else flattened(init), patch, control)


def enlarged(length: int, factor: float) -> int:
    """A length in pixels after the second pass, in steps that autoencoders can take."""
    return max(math.floor(length * factor / _STEP_PX + 0.5), 1) * _STEP_PX


def _later(on_step: Callable[[int], None] | None, done: int) -> OnStep | None:
    return None if on_step is None else lambda step: on_step(done + step)

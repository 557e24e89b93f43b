"""One pass through the base model: a call of the stock pipeline that fits what the pass starts from and follows.

Shapes: B pictures, S stages, T text positions, C width of the encoded text, h x w a latent picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import (
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLControlNetImg2ImgPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLImg2ImgPipeline,
)
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from faceid_cli.attention import split_attention
from faceid_cli.attention.regional import regional_attention
from faceid_cli.backbone import BaseModel
from faceid_cli.backbone.autoencoder import in_float32, latent_statistics
from faceid_cli.orders import RenderConfig
from faceid_cli.orders.sampling import Sampler
from faceid_cli.rendering.decoding import Lost, decode
from faceid_cli.rendering.guidance import GuidanceEnd
from faceid_cli.rendering.schedulers import scheduler_for
from faceid_cli.types import Region

Contexts = dict[str, Tensor]
"""Text as arguments of the stock pipeline, of one row for all pictures or of one for each: (1 or B, G * 2 * S * T, C)
with G texts, pooled (1 or B, S * E)."""

OnStep = Callable[[int], None]
"""Called with the sampler steps that the pass has done."""

# By family, whether a picture is started from, and whether a ControlNet is followed.
_PIPELINES: dict[tuple[bool, bool, bool], Any] = {
    (False, True, False): StableDiffusionImg2ImgPipeline,
    (False, False, True): StableDiffusionControlNetPipeline,
    (False, True, True): StableDiffusionControlNetImg2ImgPipeline,
    (True, True, False): StableDiffusionXLImg2ImgPipeline,
    (True, False, True): StableDiffusionXLControlNetPipeline,
    (True, True, True): StableDiffusionXLControlNetImg2ImgPipeline,
}


@dataclass(frozen=True)
class Pass:
    """What one pass does.

    Attributes:
        seeds: One for each picture.
        width: Of the pictures, in pixels.
        height: Of the pictures, in pixels.
        config: How to render; with pictures to start from, only the last of its steps are taken.
        starts: A picture of this width and height for each seed; empty to start from noise.
        strength: How much of them may change, above 0 up to 1.
        free: Which latent places of them may change, (1, 1, h, w) of 0 and 1; None for all.
        network: A ControlNet, or None.
        control: What it is shown, of this width and height.
        layouts: For each picture the regions of its people, where each has a text of their own; else empty.
    """

    seeds: Sequence[int]
    width: int
    height: int
    config: RenderConfig
    starts: Sequence[Image.Image] = ()
    strength: float = 1.0
    free: Tensor | None = None
    network: Any = None
    control: Image.Image | None = None
    layouts: Sequence[Sequence[Region]] = ()


def run_pass(
    base: BaseModel, contexts: Contexts, stages: int, work: Pass, on_step: OnStep | None
) -> list[Image.Image | Lost]:
    """Render, in the order of the seeds; the base model is left as found.

    Args:
        base: The base model.
        contexts: The encoded prompts.
        stages: S: how many stages the encoded prompts hold.
        work: What to do.
        on_step: Called after every sampler step.
    """
    rows = {
        name: part.expand(len(work.seeds), *part.shape[1:]).to(base.device, base.dtype)
        for name, part in contexts.items()
    }
    texts = 1 + len(work.layouts[0]) if work.layouts else 1
    text_length = rows["prompt_embeds"].shape[1] // (texts * 2 * stages)
    with ExitStack() as stack:
        stack.enter_context(_scheduler(base, work.config.sampler))
        for network in (base.unet, work.network):
            if network is not None:
                stack.enter_context(split_attention(network, stages, text_length, base.num_train_timesteps, texts))
                if work.layouts:
                    stack.enter_context(regional_attention(network, work.layouts, base.num_train_timesteps))
        pipeline = _pipeline(base, bool(work.starts), work.network)
        stack.enter_context(_working_on(pipeline, base.device))
        output = pipeline(
            **rows,
            **_start(base, work),
            **_control(work),
            num_inference_steps=work.config.sampler.steps,
            guidance_scale=work.config.sampler.guidance_scale,
            eta=work.config.eta,
            output_type="latent",
            **_after_step(base, work, pipeline, on_step),
        )
    return decode(base, output.images)


def steps_taken(steps: int, strength: float | None) -> int:
    """How many steps a pass really takes: of a picture to start from, only the last ones; None for noise."""
    return steps if strength is None else max(int(steps * strength), 1)


def initial_noise(base: BaseModel, seed: int, width: int, height: int) -> tuple[Tensor, torch.Generator]:
    """Draw the noise that a picture starts from.

    Returns:
        (1, latent channels, latent height, latent width) float32 on the CPU, before the scheduler scales it; and its
        generator, from which samplers with noise of their own draw on.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    factor = int(base.pipeline.vae_scale_factor)
    return torch.randn((1, base.latent_channels, height // factor, width // factor), generator=generator), generator


def _pipeline(base: BaseModel, from_picture: bool, network: Any) -> Any:
    """The stock pipeline for the job, of the base model's own parts."""
    if not from_picture and network is None:
        return base.pipeline
    xl = base.family == "sdxl"
    parts = {**base.pipeline.components, **({} if network is None else {"controlnet": network})}
    settings = {"add_watermarker": False} if xl else {"requires_safety_checker": False}
    pipeline = _PIPELINES[xl, from_picture, network is not None](**parts, **settings)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def _working_on(pipeline: Any, device: torch.device) -> Iterator[None]:
    """Tell a pipeline where its work is done.

    It would look at its first part, which may be a text encoder that waits on the CPU.
    """
    kind = type(pipeline)
    pipeline.__class__ = type(kind.__name__, (kind,), {"_execution_device": property(lambda _: device)})
    try:
        yield
    finally:
        pipeline.__class__ = kind


def _start(base: BaseModel, work: Pass) -> dict[str, Any]:
    """Noise of each seed, or pictures and each seed's generator."""
    if work.starts:
        # The pipelines would round a strength below one step down to no step at all, and fail.
        strength = min(max(work.strength, 1.0001 / work.config.sampler.steps), 1.0)
        return {"image": list(work.starts), "strength": strength, "generator": _generators(work)}
    drawn = [initial_noise(base, seed, work.width, work.height) for seed in work.seeds]
    noise = torch.cat([each for each, _ in drawn]).to(base.device, base.dtype)
    generators = [generator for _, generator in drawn]
    return {"latents": noise, "generator": generators, "width": work.width, "height": work.height}


def _generators(work: Pass) -> list[torch.Generator]:
    return [torch.Generator("cpu").manual_seed(seed) for seed in work.seeds]


def _control(work: Pass) -> dict[str, Any]:
    if work.network is None:
        return {}
    name = "control_image" if work.starts else "image"
    return {name: work.control, "controlnet_conditioning_scale": float(work.config.control_scale)}


def _after_step(base: BaseModel, work: Pass, pipeline: Any, on_step: OnStep | None) -> dict[str, Any]:
    """What is done after each sampler step: hold what may not change, end the guidance, and report."""
    hold = None if work.free is None else _Hold(base, work)
    share = work.config.sampler.guided
    guided = None if share == 1 else GuidanceEnd(pipeline, share)
    if hold is None and guided is None and on_step is None:
        return {}

    def after_step(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if on_step is not None:
            on_step(step + 1)
        changed = {} if guided is None else guided.changes(pipeline, step, tensors)
        return changed if hold is None else {**changed, "latents": hold.held(pipeline, step, tensors["latents"])}

    names = ["latents"] if guided is None else ["latents", *guided.names]
    return {"callback_on_step_end": after_step, "callback_on_step_end_tensor_inputs": names}


class _Hold:
    """Keeps places of a latent picture: after each step they become the picture again, at the noise of that step.

    Noise and picture are those that the pipeline itself starts from, so that the free places never see a seam.
    """

    def __init__(self, base: BaseModel, work: Pass) -> None:
        generators = _generators(work)
        latents = [_encoded(base, start, generator) for start, generator in zip(work.starts, generators, strict=True)]
        self._latents = torch.cat(latents).to(base.device, base.dtype)
        self._noise = randn_tensor(self._latents.shape, generator=generators, device=base.device, dtype=base.dtype)
        assert work.free is not None
        self._free = work.free.to(base.device, base.dtype)

    def held(self, pipeline: Any, step: int, latents: Tensor) -> Tensor:
        """The latents after a step, (B, channels, h, w), with the places that may not change put back."""
        timesteps = pipeline.scheduler.timesteps[-pipeline.num_timesteps :]
        kept = self._latents
        if step + 1 < len(timesteps):
            kept = pipeline.scheduler.add_noise(kept, self._noise, timesteps[step + 1].reshape(1))
        return self._free * latents + (1 - self._free) * kept.to(latents.dtype)


def _encoded(base: BaseModel, image: Image.Image, generator: torch.Generator) -> Tensor:
    """A picture as the pipelines encode it, (1, channels, h, w)."""
    vae = base.pipeline.vae
    forced = bool(getattr(vae.config, "force_upcast", False))
    upcast = base.family == "sdxl" and base.dtype != torch.float32 and forced
    pixels = torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32) / 255)
    rows = (2 * pixels.permute(2, 0, 1)[None] - 1).to(base.device, torch.float32 if upcast else base.dtype)
    with in_float32(vae, upcast):
        latents: Tensor = vae.encode(rows).latent_dist.sample(generator).to(base.dtype)
    if (statistics := latent_statistics(base, latents)) is not None:
        mean, spread = statistics
        latents = (latents - mean) / spread
    return latents * float(vae.config.scaling_factor)


@contextmanager
def _scheduler(base: BaseModel, sampler: Sampler) -> Iterator[None]:
    """Put another scheduler into the pipeline, and the old one back."""
    original = base.pipeline.scheduler
    base.pipeline.scheduler = scheduler_for(base, sampler.scheduler, sampler.steps)
    try:
        yield
    finally:
        base.pipeline.scheduler = original

"""Rendering people into pictures with the base model's own, stock pipeline (paper section 3.2).

A seed stands for a picture: its noise is drawn on the CPU from a generator of its own, in float32, whatever the device
and the batch. Alone and in a batch the arithmetic differs only in the order of rounding: on the CPU in float32 the
pixels agree to within 2 of 255 levels, nearly all of them exactly.

Shapes: B pictures, S stages, T text positions, C width of the encoded text.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
import transformers
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline
from PIL import Image, ImageOps
from torch import Tensor

from faceid_cli import __version__
from faceid_cli.attention import split_attention
from faceid_cli.backbone import BaseModel, memory_errors
from faceid_cli.config import RenderConfig, check_seed
from faceid_cli.errors import OutOfMemoryError
from faceid_cli.rendering.metadata import RenderMetadata
from faceid_cli.rendering.prompts import people_in, place_people
from faceid_cli.rendering.schedulers import scheduler_for
from faceid_cli.tokens import EncodedPrompt, dialled, encode_prompt
from faceid_cli.types import IdentityTokens, Render, RenderRequest

Progress = Callable[[int, int], None]
"""Called with (sampler steps done, sampler steps in all)."""

Contexts = dict[str, Tensor]
"""Text as arguments of the stock pipeline, one row each: (1, 2 * S * T, C), pooled (1, S * E)."""


def render(
    base: BaseModel,
    prompt: str,
    people: Mapping[str, IdentityTokens],
    seeds: Sequence[int],
    config: RenderConfig,
    on_progress: Progress | None = None,
    init: Image.Image | None = None,
    words: Mapping[str, IdentityTokens] | None = None,
) -> list[Render]:
    """Render one picture for each seed, in order.

    Args:
        base: The base model; it is left as found, also after an error.
        prompt: People marked by `<name>`, `{name}` or not at all, see `prompts.place_people`; with no people any text.
        people: Tokens of exactly the people in the prompt.
        seeds: One for each picture; any number, also repeated.
        config: Sampler settings. `batch_size` changes speed and memory, not the pictures.
        on_progress: Called after every sampler step.
        init: A picture to start from, of any size; `config.strength` says how much of it may change.
        words: Tokens of other words that the prompt marks as `<word>`, such as textual-inversion files of others.

    Raises:
        UsageError: In its subclasses: seeds out of range, marks that mean nobody, a prompt that is too long.
        ModelMismatchError: Tokens that do not fit the base model.
        OutOfMemoryError: Says to render fewer at once.
    """
    batches = render_batches(base, prompt, people, seeds, config, on_progress, init, words)
    return [picture for batch in batches for picture in batch]


def render_batches(
    base: BaseModel,
    prompt: str,
    people: Mapping[str, IdentityTokens],
    seeds: Sequence[int],
    config: RenderConfig,
    on_progress: Progress | None = None,
    init: Image.Image | None = None,
    words: Mapping[str, IdentityTokens] | None = None,
) -> Iterator[list[Render]]:
    """As `render`, batch by batch, so that finished pictures can be saved while others are still to come.

    Everything is checked, and the prompt encoded, before this returns.
    """
    for seed in seeds:
        check_seed(seed)
    words = words or {}
    placed = place_people(prompt, list(people), list(words)) if people else " ".join(prompt.split())
    with torch.no_grad(), memory_errors(_memory_hint(base, 1)):
        tokens = {name: dialled(base, person, *config.dials) for name, person in people.items()}
        encoded = encode_prompt(base, placed, {**words, **tokens}, config.clip_skip)
        negative = encode_prompt(base, config.negative_prompt, words, config.clip_skip).with_stages(encoded.stages)
        contexts = _contexts(base, encoded, negative, blank=not config.negative_prompt.strip())
    settings = _settings(base, placed, config, init)
    steps = sampler_steps(config, init)
    names = tuple(name for name in people_in(placed) if name in people)

    def batches() -> Iterator[list[Render]]:
        done, start, size = 0, 0, config.batch_size
        while start < len(seeds):
            batch = seeds[start : start + size]
            report = _step_report(on_progress, done, done + steps * -(-(len(seeds) - start) // size))
            try:
                images = _render_batch(base, contexts, encoded.stages, batch, settings, report, init)
            except OutOfMemoryError:
                if not config.fit_batch or len(batch) == 1:
                    raise
                size = len(batch) // 2
                continue
            done, start = done + steps, start + len(batch)
            yield [
                Render(image, RenderRequest(prompt, names, seed), {**settings, "seed": seed})
                for image, seed in zip(images, batch, strict=True)
            ]

    return batches()


def metadata_of(picture: Render, identity_ids: Sequence[str] = ()) -> RenderMetadata:
    """What to write into the picture's file, see rendering/metadata.py."""
    return RenderMetadata(names=picture.request.names, identity_ids=tuple(identity_ids), **picture.settings)


def sampler_steps(config: RenderConfig, init: Image.Image | None) -> int:
    """How many steps are really taken: of a picture to start from, only the last ones."""
    return config.steps if init is None else max(int(config.steps * config.strength), 1)


def initial_noise(base: BaseModel, seed: int, width: int, height: int) -> tuple[Tensor, torch.Generator]:
    """Draw the noise that a picture starts from.

    Returns:
        (1, latent channels, latent height, latent width) float32 on the CPU, before the scheduler scales it; and its
        generator, from which samplers with noise of their own draw on.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    factor = int(base.pipeline.vae_scale_factor)
    return torch.randn((1, base.latent_channels, height // factor, width // factor), generator=generator), generator


def _settings(base: BaseModel, placed: str, config: RenderConfig, init: Image.Image | None) -> dict[str, Any]:
    """All that `RenderMetadata` holds beside people and seed."""
    return {
        "prompt": placed,
        "negative_prompt": config.negative_prompt,
        "steps": config.steps,
        "guidance_scale": float(config.guidance_scale),
        "scheduler": config.scheduler,
        "width": config.width or base.size_px,
        "height": config.height or base.size_px,
        "base_model": base.source,
        "base_fingerprint": base.fingerprint,
        "precision": str(base.dtype).removeprefix("torch."),
        "additions": base.additions,
        "clip_skip": config.clip_skip,
        "init": "" if init is None else hashlib.sha256(init.convert("RGB").tobytes()).hexdigest(),
        "strength": 1.0 if init is None else float(config.strength),
        "likeness": float(config.likeness),
        "likeness_keys": config.likeness_keys,
        "likeness_values": config.likeness_values,
        "stages": config.stages,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {
        "faceid": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
    }


def _render_batch(
    base: BaseModel,
    contexts: Contexts,
    stages: int,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    report: Callable[..., dict[str, Any]] | None,
    init: Image.Image | None,
) -> list[Any]:
    """One call of the stock pipeline; contexts as `_contexts` returns them."""
    with memory_errors(_memory_hint(base, len(seeds))), torch.no_grad():
        rows = {
            name: part.expand(len(seeds), *part.shape[1:]).to(base.device, base.dtype)
            for name, part in contexts.items()
        }
        text_length = rows["prompt_embeds"].shape[1] // (2 * stages)
        with (
            _scheduler(base, str(settings["scheduler"])),
            _text_encoders_away(base),
            split_attention(base.unet, stages, text_length, base.num_train_timesteps),
        ):
            pipeline, start = _start(base, seeds, settings, init)
            output = pipeline(
                **rows,
                **start,
                num_inference_steps=settings["steps"],
                guidance_scale=settings["guidance_scale"],
                output_type="pil",
                callback_on_step_end=report,
            )
    return list(output.images)


def _start(
    base: BaseModel, seeds: Sequence[int], settings: Mapping[str, Any], init: Image.Image | None
) -> tuple[Any, dict[str, Any]]:
    """The pipeline, and what it starts from: noise of each seed, or a picture and each seed's generator."""
    width, height = settings["width"], settings["height"]
    if init is None:
        drawn = [initial_noise(base, seed, width, height) for seed in seeds]
        noise = torch.cat([each for each, _ in drawn]).to(base.device, base.dtype)
        generators = [generator for _, generator in drawn]
        return base.pipeline, {"latents": noise, "generator": generators, "width": width, "height": height}
    fitted = ImageOps.fit(init.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
    return _image_pipeline(base), {
        "image": [fitted] * len(seeds),
        "strength": settings["strength"],
        "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
    }


def _image_pipeline(base: BaseModel) -> Any:
    """The stock pipeline that starts from a picture, of the same parts."""
    parts = dict(base.pipeline.components)
    if base.family == "sdxl":
        pipeline = StableDiffusionXLImg2ImgPipeline(**parts, add_watermarker=False)
    else:
        pipeline = StableDiffusionImg2ImgPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def _text_encoders_away(base: BaseModel) -> Iterator[None]:
    """The prompt is encoded by now; with little memory, its encoders wait on the CPU meanwhile."""
    if not base.low_vram or base.device.type == "cpu":
        yield
        return
    for encoder in base.encoders:
        encoder.module.to("cpu")
    try:
        yield
    finally:
        for encoder in base.encoders:
            encoder.module.to(base.device)


def _memory_hint(base: BaseModel, batch: int) -> str:
    """The next smaller setting."""
    if batch > 1:
        return f"render fewer pictures at once: --batch {max(batch // 2, 1)}, or --batch auto"
    return (
        "render smaller pictures (--size)" if base.low_vram else "give --low-vram, or render smaller pictures (--size)"
    )


def _contexts(base: BaseModel, encoded: EncodedPrompt, negative: EncodedPrompt, blank: bool) -> Contexts:
    """The pipeline's arguments for prompt and negative prompt, each of one row, all stages in it.

    Stable Diffusion XL was taught with zeros for no text, and its pipeline gives them for a blank negative prompt.
    """
    found = {"prompt_embeds": encoded.context(), "negative_prompt_embeds": negative.context()}
    pooled, negative_pooled = encoded.pooled_context(), negative.pooled_context()
    if pooled is not None and negative_pooled is not None:
        found |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": negative_pooled}
        if blank and base.pipeline.config.get("force_zeros_for_empty_prompt", False):
            found |= {name: torch.zeros_like(part) for name, part in found.items() if name.startswith("negative")}
    return found


@contextmanager
def _scheduler(base: BaseModel, name: str) -> Iterator[None]:
    """Put another scheduler into the pipeline, and the old one back."""
    original = base.pipeline.scheduler
    base.pipeline.scheduler = scheduler_for(base, name)
    try:
        yield
    finally:
        base.pipeline.scheduler = original


def _step_report(on_progress: Progress | None, before: int, total: int) -> Callable[..., dict[str, Any]] | None:
    if on_progress is None:
        return None

    def after_step(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        on_progress(min(before + step + 1, total), total)
        return {}

    return after_step

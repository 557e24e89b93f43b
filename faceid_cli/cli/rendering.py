"""What `generate` and `compose` do alike: from options to a RenderConfig and a place for the pictures."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.cli.options import parse_size, parse_stages
from faceid_cli.cli.views import machine
from faceid_cli.config import RenderConfig
from faceid_cli.errors import UsageError
from faceid_cli.settings import read_setting

LARGEST_BATCH = 8  # what --batch auto begins with


def render_config(
    steps: int,
    guidance_scale: float,
    scheduler: str,
    negative: str,
    size: str | None,
    batch: int | str,
    device: str | None,
    precision: str | None,
    clip_skip: int = 0,
    strength: float | None = None,
    likeness: float = RenderConfig.likeness,
    likeness_keys: float | None = None,
    likeness_values: float | None = None,
    stages: str | None = None,
    control_scale: float = RenderConfig.control_scale,
    hires: float = RenderConfig.hires,
    hires_strength: float = RenderConfig.hires_strength,
) -> RenderConfig:
    """Build the settings of a rendering, checked."""
    width, height = parse_size(size)
    fit_batch = batch == "auto"
    return RenderConfig(
        steps=steps,
        guidance_scale=guidance_scale,
        scheduler=scheduler,
        width=width,
        height=height,
        negative_prompt=negative,
        batch_size=LARGEST_BATCH if fit_batch else parse_batch(batch),
        fit_batch=fit_batch,
        clip_skip=clip_skip,
        strength=strength,
        likeness=likeness,
        likeness_keys=likeness_keys,
        likeness_values=likeness_values,
        stages=parse_stages(stages),
        control_scale=control_scale,
        hires=hires,
        hires_strength=hires_strength,
        **machine(device, precision),
    )


def parse_batch(text: int | str) -> int:
    """Read a number of pictures or crops.

    Raises:
        UsageError: Anything else.
    """
    if isinstance(text, str) and not text.isdecimal():
        raise UsageError(f"{text!r} is not a batch size", "use a number, or auto")
    return int(text)


def output_folder(output: Path | None) -> Path:
    """Where pictures go: as given, else as set with `faceid config set output`, else the current folder."""
    return Path(read_setting("output")) if output is None else output

"""What `generate` and `compose` do alike: from options to a RenderConfig and a place for the pictures."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.cli.options import parse_size
from faceid_cli.cli.views import machine
from faceid_cli.config import RenderConfig
from faceid_cli.settings import read_setting


def render_config(
    steps: int,
    guidance_scale: float,
    scheduler: str,
    negative: str,
    size: str | None,
    batch: int,
    device: str | None,
    precision: str | None,
) -> RenderConfig:
    """Build the settings of a rendering, checked."""
    width, height = parse_size(size)
    return RenderConfig(
        steps=steps,
        guidance_scale=guidance_scale,
        scheduler=scheduler,
        width=width,
        height=height,
        negative_prompt=negative,
        batch_size=batch,
        **machine(device, precision),
    )


def output_folder(output: Path | None) -> Path:
    """Where pictures go: as given, else as set with `faceid config set output`, else the current folder."""
    return Path(read_setting("output")) if output is None else output

"""Options of `generate` and `compose` for what guides a picture beside its prompt. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli.options import FACES, RENDER_DEFAULTS, one_of
from faceid_cli.config import CONTROLS

CONTROL_SCALE, HIRES, HIRES_STRENGTH = (
    RENDER_DEFAULTS.control_scale,
    RENDER_DEFAULTS.hires,
    RENDER_DEFAULTS.hires_strength,
)
_WORDS = tuple(word for word in FACES if word != "auto")

Init = Annotated[
    Path | None, typer.Option("--init", metavar="FILE", help="A picture to start from, instead of noise alone.")
]
Mask = Annotated[
    Path | None, typer.Option("--mask", metavar="FILE", help="White where --init may change; the rest stays as it is.")
]
Into = Annotated[
    Path | None,
    typer.Option("--into", metavar="FILE", help="A photo to put the person's face into; the rest stays as it is."),
]
Face = Annotated[
    str,
    typer.Option(
        "--face",
        metavar="WHICH",
        help="Which face of --into: only, largest, left, right, or a number from the left.",
        autocompletion=one_of(_WORDS),
    ),
]
Strength = Annotated[
    float | None,
    typer.Option(
        "--strength",
        metavar="X",
        help="How much of --init or --into may change, above 0 up to 1; 0.6, with a mask or face 0.8.",
    ),
]
Control = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--control",
        metavar="KIND MODEL",
        help=f"Follow an image with a ControlNet: a folder, a file or a hub id; KIND is {', '.join(CONTROLS)}.",
        autocompletion=one_of(CONTROLS),
    ),
]
ControlImage = Annotated[
    Path | None,
    typer.Option(
        "--control-image",
        metavar="FILE",
        help="What to follow; for canny any picture, for the others a ready-made pose, depth map, ...",
    ),
]
ControlScale = Annotated[float, typer.Option("--control-scale", metavar="X", help="How closely to follow it.")]
Hires = Annotated[
    float, typer.Option("--hires", metavar="X", help="Enlarge the picture so many times, and render it once more.")
]
HiresStrength = Annotated[
    float, typer.Option("--hires-strength", metavar="X", help="How much of the enlarged picture may change.")
]

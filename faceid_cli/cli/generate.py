"""`faceid generate`: render one enrolled person."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli import guiding, options, views
from faceid_cli.cli.options import examples
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress
from faceid_cli.cli.rendering import output_folder, render_config

_DEFAULTS = options.RENDER_DEFAULTS
EPILOG = examples(
    'faceid generate alice "holding a basketball, eiffel tower" --seed 7',
    'faceid generate alice "<alice> wearing a crown, castle" -n 8 -o pictures',
)


def generate(
    name: options.Name,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT",
            help='<NAME> or {name} marks the person; unmarked, the prompt follows "a photo of <NAME>".',
        ),
    ],
    seed: options.Seed = None,
    count: options.Count = 1,
    steps: options.RenderSteps = _DEFAULTS.steps,
    guidance_scale: options.GuidanceScale = _DEFAULTS.guidance_scale,
    likeness: options.Likeness = _DEFAULTS.likeness,
    likeness_k: options.LikenessKeys = None,
    likeness_v: options.LikenessValues = None,
    in_stages: options.InStages = None,
    auto: Annotated[
        bool,
        typer.Option("--auto", help="Try five levels of likeness on four pictures each, and take the best for PROMPT."),
    ] = False,
    scheduler: options.Scheduler = _DEFAULTS.scheduler,
    negative: options.Negative = "",
    size: options.Size = None,
    output: options.OutputPath = None,
    batch: options.RenderBatch = options.RENDER_BATCH,
    clip_skip: options.ClipSkip = 0,
    init: guiding.Init = None,
    mask: guiding.Mask = None,
    into: guiding.Into = None,
    face: guiding.Face = "only",
    strength: guiding.Strength = None,
    control: guiding.Control = None,
    control_image: guiding.ControlImage = None,
    control_scale: guiding.ControlScale = guiding.CONTROL_SCALE,
    hires: guiding.Hires = guiding.HIRES,
    hires_strength: guiding.HiresStrength = guiding.HIRES_STRENGTH,
    embedding: options.Embedding = None,
    model: options.Model = None,
    variant: options.Variant = None,
    vae: options.Vae = None,
    lora: options.Lora = None,
    low_vram: options.LowVram = False,
    compile_: options.Compile = False,
    device: options.Device = None,
    precision: options.Precision = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Render an enrolled person into a scene."""
    config = render_config(
        steps,
        guidance_scale,
        scheduler,
        negative,
        size,
        batch,
        device,
        precision,
        clip_skip,
        strength,
        likeness,
        likeness_k,
        likeness_v,
        in_stages,
        control_scale,
        hires,
        hires_strength,
    )
    where = output_folder(output)

    from faceid_cli import api

    with render_progress() as on_progress:
        renders = api.generate(
            name,
            prompt,
            seed=seed,
            count=count,
            config=config,
            model=model,
            init=init,
            mask=mask,
            into=into,
            face=face,
            control=control,
            control_image=control_image,
            embeddings=embedding or (),
            auto=auto,
            options=options.model_options(variant, vae, lora, low_vram, compile_),
            output=where,
            on_progress=on_progress,
            on_note=out.note,
        )
    out.result(
        {"command": "generate", "renders": [views.render_data(render) for render in renders]},
        views.render_lines(renders),
        [str(render.path) for render in renders],
    )
    if seed is None:
        out.hint(f"next: the same again with --seed {renders[0].request.seed}")
    else:
        out.hint("next: more of it with --count 4, or another --seed")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate", epilog=EPILOG)(generate)

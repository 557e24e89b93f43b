"""`faceid compose`: render several enrolled people into one picture."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli import guiding, options, views
from faceid_cli.cli.options import complete_names, examples
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress
from faceid_cli.cli.rendering import output_folder, render_config
from faceid_cli.errors import UsageError

_DEFAULTS = options.RENDER_DEFAULTS
EPILOG = examples(
    'faceid compose alice bob "playing chess, city street"',
    'faceid compose alice bob "<alice> smiling and <bob> with a cap" -n 4 -o out',
)


def compose(
    people_and_prompt: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME NAME PROMPT",
            help="Two or more enrolled people, then the prompt; <NAME> marks each of them, or none is marked.",
            autocompletion=complete_names,
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
    scheduler: options.Scheduler = _DEFAULTS.scheduler,
    negative: options.Negative = "",
    size: options.Size = None,
    output: options.OutputPath = None,
    batch: options.RenderBatch = options.RENDER_BATCH,
    clip_skip: options.ClipSkip = 0,
    init: guiding.Init = None,
    mask: guiding.Mask = None,
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
    """Render several enrolled people into one picture."""
    *names, prompt = people_and_prompt
    if len(names) < 2:
        raise UsageError(
            "compose needs two or more names and a prompt", 'such as: faceid compose alice bob "playing chess"'
        )
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
        renders = api.compose(
            names,
            prompt,
            seed=seed,
            count=count,
            config=config,
            model=model,
            init=init,
            mask=mask,
            control=control,
            control_image=control_image,
            embeddings=embedding or (),
            options=options.model_options(variant, vae, lora, low_vram, compile_),
            output=where,
            on_progress=on_progress,
            on_note=out.note,
        )
    out.result(
        {"command": "compose", "renders": [views.render_data(render) for render in renders]},
        views.render_lines(renders),
        [str(render.path) for render in renders],
    )
    out.hint(f"next: the same again with --seed {renders[0].request.seed}, or more of it with --count 4")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compose", epilog=EPILOG)(compose)

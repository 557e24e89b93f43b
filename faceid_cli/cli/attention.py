"""`faceid attention`: see where the words of a prompt look."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli import options
from faceid_cli.cli.options import examples
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress
from faceid_cli.cli.rendering import output_folder, render_config

_DEFAULTS = options.RENDER_DEFAULTS
EPILOG = examples(
    'faceid attention alice "holding a basketball, eiffel tower"',
    'faceid attention alice "<alice> wearing a crown" --word crown -o crown.png',
)


def attention(
    name: options.Name,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="As for `faceid generate`.")],
    word: Annotated[
        list[str] | None,
        typer.Option("--word", metavar="WORD", help="Of the prompt, <NAME> for the person; may be repeated."),
    ] = None,
    stages: Annotated[
        int | None, typer.Option("--stages", metavar="N", min=1, max=20, help="Columns; the person's own if not given.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the picture.")] = 0,
    steps: options.RenderSteps = _DEFAULTS.steps,
    guidance_scale: options.GuidanceScale = _DEFAULTS.guidance_scale,
    likeness: options.Likeness = _DEFAULTS.likeness,
    likeness_k: options.LikenessKeys = None,
    likeness_v: options.LikenessValues = None,
    scheduler: options.Scheduler = _DEFAULTS.scheduler,
    negative: options.Negative = "",
    size: options.Size = None,
    output: options.OutputPath = None,
    model: options.Model = None,
    low_vram: options.LowVram = False,
    device: options.Device = None,
    precision: options.Precision = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show where the words of a prompt look, as heat maps over the picture."""
    config = render_config(
        steps,
        guidance_scale,
        scheduler,
        negative,
        size,
        1,
        device,
        precision,
        likeness=likeness,
        likeness_keys=likeness_k,
        likeness_values=likeness_v,
    )
    where = output_folder(output)

    from faceid_cli.api import attending

    with render_progress() as on_progress:
        found = attending.show_attention(
            name,
            prompt,
            words=word or (),
            stages=stages,
            seed=seed,
            config=config,
            model=model,
            options=options.model_options(None, None, None, low_vram),
            output=where,
            on_progress=on_progress,
            on_note=out.note,
        )
    out.result(
        {
            "command": "attention",
            "file": str(found.path),
            "prompt": found.picture.settings["prompt"],
            "seed": seed,
            "words": list(found.words),
            "inside_face": found.inside,
        },
        [str(found.path), *(_line(word, shares[-1]) for word, shares in found.inside.items())],
        [str(found.path)],
    )
    out.hint("next: another word with --word, or how it all adds up: faceid evaluate " + name)


def _line(word: str, share: float | None) -> str:
    return f"{word}  {'-' if share is None else f'{100 * share:.0f} %'} of its attention is inside the face"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("attention", epilog=EPILOG)(attention)

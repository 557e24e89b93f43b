"""`faceid attention`: see where the words of a prompt look."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from faceid_cli.cli import options
from faceid_cli.cli.options import OF_SCORED_PICTURES, build, examples, output_folder, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress
from faceid_cli.orders import ModelOptions, RenderConfig, RenderOrder

EPILOG = examples(
    'faceid attention alice "holding a basketball, eiffel tower"',
    'faceid attention alice "<alice> wearing a crown" --word crown -o crown.png',
)


@spread(RenderOrder, only=OF_SCORED_PICTURES, without=("batch_size", "stages", "model"))
def attention(
    name: options.Name,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="As for `faceid generate`.")],
    given: dict[str, Any],
    word: Annotated[
        list[str] | None,
        typer.Option("--word", metavar="WORD", help="Of the prompt, <NAME> for the person; may be repeated."),
    ] = None,
    columns: Annotated[
        int | None,
        typer.Option("--columns", metavar="N", min=1, max=20, help="Columns; one a stage of the person if not given."),
    ] = None,
    former_columns: Annotated[int | None, typer.Option("--stages", min=1, max=20, hidden=True)] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the picture.")] = 0,
    model: options.Model = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show where the words of a prompt look, as heat maps over the picture."""
    config, loading = build(RenderConfig, given), build(ModelOptions, given)
    where = output_folder(given["output"])

    from faceid_cli.api.attention import show_attention

    with render_progress() as on_progress:
        found = show_attention(
            name,
            prompt,
            words=word or (),
            stages=former_columns if columns is None else columns,
            seed=seed,
            config=config,
            model=model,
            options=loading,
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

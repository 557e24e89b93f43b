"""`faceid generate`: render one enrolled person."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from faceid_cli.cli import options, views
from faceid_cli.cli.options import complete_prompt, examples, output_folder, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress
from faceid_cli.kept.settings import rendering_order
from faceid_cli.orders import RenderOrder

EPILOG = examples(
    'faceid generate alice "holding a basketball, eiffel tower" --seed 7',
    'faceid generate alice "<alice> wearing a crown, castle" -n 8 -o pictures',
)


@spread(RenderOrder, without=("names", "prompt"))
def generate(
    name: options.Name,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT",
            help='<NAME> or {name} marks the person; unmarked, the prompt follows "a photo of <NAME>".',
            autocompletion=complete_prompt,
        ),
    ],
    given: dict[str, Any],
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Render an enrolled person into a scene."""
    given["output"] = output_folder(given["output"])
    order = rendering_order({"names": (name,), "prompt": prompt, **given}, out.note)

    with render_progress(order.count) as on_progress:
        from faceid_cli.api.generate import render_order  # takes a while, so something is shown before

        renders = render_order(order, on_progress, out.note)
    views.show_renders("generate", renders)
    if order.seed is None:
        out.hint(f"next: the same again with --seed {renders[0].request.seed}")
    else:
        out.hint("next: more of it with --count 4, or another --seed")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate", epilog=EPILOG)(generate)

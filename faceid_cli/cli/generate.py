"""`faceid generate`: render one enrolled person."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from faceid_cli.cli import options, views
from faceid_cli.cli.batch import DryRun, Sides, run, with_sides
from faceid_cli.cli.options import complete_prompt, examples, output_folder, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress
from faceid_cli.errors import UsageError
from faceid_cli.jobs.variants import has_variants
from faceid_cli.kept.settings import rendering_order
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.batching import BatchOrder
from faceid_cli.orders.option import leaves
from faceid_cli.orders.rendering import FOR_SEVERAL

EPILOG = examples(
    'faceid generate alice "holding a basketball, eiffel tower" --seed 7',
    'faceid generate alice "<alice> wearing a crown, castle" -n 8 -o pictures',
)
_OF_SEVERAL_PEOPLE = ("people", "everybody", "tag")


@spread(RenderOrder, BatchOrder, without=("names", "prompt", *FOR_SEVERAL, *_OF_SEVERAL_PEOPLE))
def generate(
    name: options.Name,
    given: dict[str, Any],
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT",
            help='<NAME> or {name} marks the person; unmarked, the prompt follows "a photo of <NAME>".',
            autocompletion=complete_prompt,
        ),
    ] = None,
    sides: Sides = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="Prompts or rows from a file, or - for a pipe; a row that names people is theirs. See faceid batch.",
        ),
    ] = None,
    dry_run: DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Render an enrolled person into a scene, or into many."""
    if (prompt is None) == (prompts is None):
        raise UsageError("missing argument 'PROMPT'" if prompt is None else "give either PROMPT or --prompts FILE")
    given = with_sides(given, sides)
    own = {field: value for field, value in given.items() if field in leaves(BatchOrder)}
    if prompts is not None or dry_run or any(own.values()) or has_variants(prompt or ""):
        output = given.pop("output", None)
        people = ((name,),)
        jobs = prompts if prompts is not None else [{"prompt": prompt}]
        run("generate", jobs, {**given, "people": people}, None if output is None else str(output), dry_run)
        return
    given = {field: value for field, value in given.items() if field not in own}
    given["output"] = output_folder(given["output"])
    order = rendering_order({"names": (name,), "prompt": prompt, **given}, out.note, FOR_SEVERAL)

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

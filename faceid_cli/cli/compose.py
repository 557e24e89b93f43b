"""`faceid compose`: render several enrolled people into one picture."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from faceid_cli.cli import options, views
from faceid_cli.cli.options import complete_names, complete_prompt, examples, output_folder, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress
from faceid_cli.errors import UsageError
from faceid_cli.kept.settings import rendering_order
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.composing import composed
from faceid_cli.orders.rendering import NOT_FOR_SEVERAL
from faceid_cli.rendering.scene import read_scene

EPILOG = examples(
    'faceid compose alice bob "<alice> smiling and <bob> with a cap, beach"',
    'faceid compose alice "<alice> and an old man, castle" --layout left-right',
)


@spread(RenderOrder, without=NOT_FOR_SEVERAL)
def compose(
    people_and_prompt: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME NAME PROMPT",
            help="Enrolled people, then the prompt; <NAME> marks each of them, or none is marked.",
            autocompletion=lambda incomplete: complete_names(incomplete) or complete_prompt(incomplete),
        ),
    ],
    given: dict[str, Any],
    show_layout: Annotated[
        bool, typer.Option("--show-layout", help="Write each picture once more, with the regions drawn over it.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Render several enrolled people into one picture."""
    *names, prompt = people_and_prompt
    if not names or (len(names) == 1 and not read_scene(prompt, {}).figures):
        raise UsageError(
            "compose needs two or more names and a prompt",
            'such as: faceid compose alice bob "playing chess", or faceid compose alice "<alice> and an old man"',
        )
    given["output"] = output_folder(given["output"])
    given = composed({"names": tuple(names), "prompt": prompt, **given})
    order = rendering_order(given, out.note, NOT_FOR_SEVERAL)
    if show_layout and not order.has_regions:
        raise UsageError("--show-layout draws regions, and with --layout none nobody has one", "leave out one of them")

    with render_progress(order.count) as on_progress:
        from faceid_cli.api.composing import save_layout
        from faceid_cli.api.generate import render_order  # takes a while, so something is shown before

        renders = render_order(order, on_progress, out.note)
    if show_layout:
        for render in renders:
            out.note(f"{save_layout(render)} shows who was where")
    views.show_renders("compose", renders)
    out.hint(f"next: the same again with --seed {renders[0].request.seed}, or more of it with --count 4")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compose", epilog=EPILOG)(compose)

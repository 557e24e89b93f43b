"""`faceid replay`: render a picture again from what its file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Quiet, Verbose, examples
from faceid_cli.cli.options import output_folder
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress

EPILOG = examples(
    "faceid replay alice.png",
    "faceid replay alice.png --change steps=40 --change prompt='<alice> at night'",
)


def replay(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A file that faceid wrote.", show_default=False)],
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--change", metavar="OPTION=VALUE", help="Another value for an option of generate; may be repeated."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="A .png, .jpg or .webp file, or a folder."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Render a picture again from what its file says, and tell whether it came out the same."""
    from faceid_cli.api.replay import replay as replay_picture

    with render_progress() as on_progress:
        found = replay_picture(
            picture, change=change or (), output=output_folder(output), on_progress=on_progress, on_note=out.note
        )
    lines = views.render_lines(found.renders)
    if found.is_equal:
        lines.append(f"equal to what was rendered for {picture}, bit for bit")
    elif found.is_equal is False:
        lines.append(f"not equal to {picture}")
    out.result(
        {
            "command": "replay",
            "original": str(picture),
            "equal": found.is_equal,
            "differences": list(found.differences),
            "renders": [views.render_data(render) for render in found.renders],
        },
        [*lines, *(f"  {line}" for line in found.differences)],
        [str(render.path) for render in found.renders],
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay", epilog=EPILOG)(replay)

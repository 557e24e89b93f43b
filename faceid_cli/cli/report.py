"""`faceid report`: what an enrolment was made of and how it went, as one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from faceid_cli.cli import options
from faceid_cli.cli.options import examples, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import render_progress
from faceid_cli.orders import RenderConfig
from faceid_cli.orders.loading import Machine

EPILOG = examples("faceid report alice", "faceid report alice -o alice.html --no-open")


@spread(Machine)
def report(
    name: options.Name,
    given: dict[str, Any],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="A .html file or a folder, not kept with the person."),
    ] = None,
    open_: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Show it in the browser; by default in a terminal.")
    ] = None,
    attention: Annotated[
        bool, typer.Option("--attention/--no-attention", help="Render attention maps, if there are none yet.")
    ] = True,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show an enrolment: photos, crops, settings, losses, samples, attention and scores, in one HTML file."""
    config = RenderConfig.of(**given)

    from faceid_cli.api import report as reporting

    with render_progress() as on_progress:
        made = reporting.write_report(
            name, output=output, attention=attention, config=config, on_progress=on_progress, on_note=out.note
        )
    out.result({"command": "report", **reporting.report_data(made)}, [str(made.path)], [str(made.path)])
    if open_ or (open_ is None and out.mode == "human" and sys.stdout.isatty()):
        _show(made.path)


def _show(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.absolute().as_uri()):
        out.warn("no browser could be started: open the file yourself")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog=EPILOG)(report)

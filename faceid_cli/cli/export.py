"""`faceid export`: write a person to a file of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli.flags import Json, Names, Quiet, Verbose, examples
from faceid_cli.cli.output import out

EPILOG = examples("faceid export alice", "faceid export alice bob -o /media/usb --replace")


def export(
    names: Names,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="File or folder; NAME.safetensors here if not given."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over an earlier export.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write people to files for `faceid import`, one file each."""
    from faceid_cli.api.export import export_identities

    made = export_identities(names, output, replace)
    files = [{"name": name, "file": str(file)} for name, file in made]
    lines = [str(file) for _, file in made]
    # The keys of one person are those of before several could be given.
    out.result({"command": "export", **(files[0] if len(files) == 1 else {}), "exports": files}, lines, lines)
    out.hint(f"next: on another machine: faceid import {made[0][1].name}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", epilog=EPILOG)(export)

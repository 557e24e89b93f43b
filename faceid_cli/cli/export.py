"""`faceid export`: write a person to a file of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli.options import Json, Name, Quiet, Verbose, examples
from faceid_cli.cli.output import out

EPILOG = examples("faceid export alice", "faceid export alice -o /media/usb/alice.safetensors")


def export(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="File or folder; NAME.safetensors here if not given."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a person to a file for `faceid import`."""
    from faceid_cli.api.export import export_identity

    file = export_identity(name, output)
    out.result({"command": "export", "name": name, "file": str(file)}, [str(file)], [str(file)])
    out.hint(f"next: on another machine: faceid import {file.name}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", epilog=EPILOG)(export)

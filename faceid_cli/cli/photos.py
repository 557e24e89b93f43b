"""`faceid photos check`: what can be learned from, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceid_cli.cli import views
from faceid_cli.cli.options import Json, Model, Quiet, Verbose, examples, spread
from faceid_cli.cli.output import fitting_table, out
from faceid_cli.orders import EnrolOrder

if TYPE_CHECKING:
    from faceid_cli.faces.verdict import PhotoVerdict

_HEADING = ("PHOTO", "VERDICT", "FACES", "FACE", "HEIGHT", "BLUR", "LIGHT", "TURN", "HIDDEN", "WHY")
_FIRST_TO_GO = ("TURN", "LIGHT", "BLUR", "HIDDEN", "HEIGHT")


@spread(EnrolOrder, only=("face", "device"))
def check(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS", help="Picture files, or folders of them.")],
    given: dict[str, Any],
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="Contact sheet; photos-check.png if not given.")
    ] = None,
    no_sheet: Annotated[bool, typer.Option("--no-sheet", help="Write no contact sheet.")] = False,
    model: Model = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check which photos can be learned from.

    Says of each whether `faceid enroll` would use it, and why not. Fails if none can be used. Blur and hidden go from 0
    to 1, light is the level of the face's brightest parts, turn is 0 from the front. The sheet shows faces, crops and
    masks.
    """
    from faceid_cli.api.photos import check_photos

    target = None if no_sheet else sheet or Path("photos-check.png")
    result = check_photos(photos, model=model, face=given.get("face", "auto"), device=given["device"], sheet=target)
    out.result(
        {
            "command": "photos check",
            "usable": result.usable,
            "photos": [verdict_data(verdict) for verdict in result.verdicts],
            "warnings": list(result.warnings),
            "sheet": None if result.sheet is None else str(result.sheet),
        },
        [
            *_table([_row(verdict) for verdict in result.verdicts]),
            f"{result.usable} of {views.plural(len(result.verdicts), 'photo')} can be used",
        ],
        [str(verdict.path) for verdict in result.verdicts if verdict.grade != "left out"],
    )
    for warning in result.warnings:
        out.warn(warning)
    if result.sheet is not None:
        out.note(f"contact sheet: {result.sheet}")
    if not result.usable:
        raise typer.Exit(4)


def verdict_data(verdict: PhotoVerdict) -> dict[str, Any]:
    """The stable JSON keys of a verdict."""
    return {
        "file": str(verdict.path),
        "verdict": verdict.grade,
        "reasons": list(verdict.reasons),
        "faces": verdict.faces,
        "face": verdict.face,
        "quality": None if verdict.quality is None else asdict(verdict.quality),
    }


def _row(verdict: PhotoVerdict) -> tuple[str, ...]:
    quality = verdict.quality
    measured = (
        ("",) * 5
        if quality is None
        else (
            f"{quality.face_px:.0f} px",
            f"{quality.blur:.2f}",
            f"{quality.brightness:.2f}",
            "" if quality.turn is None else f"{quality.turn:+.2f}",
            "" if quality.hidden is None else f"{quality.hidden:.2f}",
        )
    )
    number = "" if verdict.face is None else str(verdict.face)
    return (
        verdict.path.name,
        verdict.grade,
        str(verdict.faces),
        number,
        *measured,
        ", ".join(verdict.reasons),
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The table without columns that nobody filled; in a narrow terminal, with fewer measurements."""
    shown = [column for column in range(len(_HEADING)) if column == 0 or any(row[column] for row in rows)]
    filled = [[row[column] for column in shown] for row in rows]
    return fitting_table(filled, [_HEADING[column] for column in shown], _FIRST_TO_GO, out.columns)


def register(app: typer.Typer) -> None:
    """Add the command and its part."""
    part = typer.Typer(rich_markup_mode=None, epilog=examples("faceid photos check photos/alice"))

    @part.callback(invoke_without_command=True)
    def root(context: typer.Context) -> None:
        """Look at photos before anything is learned from them."""
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    part.command("check", epilog=examples("faceid photos check photos/alice", "faceid photos check photos --json"))(
        check
    )
    app.add_typer(part, name="photos")

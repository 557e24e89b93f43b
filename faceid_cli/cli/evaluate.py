"""`faceid evaluate`: score an enrolled person, or everybody, on a fixed set of prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceid_cli.cli import options
from faceid_cli.cli.options import OF_SCORED_PICTURES, build, complete_names, examples, output_folder, spread
from faceid_cli.cli.output import fitting_table, out
from faceid_cli.cli.progress import picture_progress
from faceid_cli.errors import UsageError
from faceid_cli.orders import ModelOptions, RenderConfig
from faceid_cli.orders.option import leaves
from faceid_cli.orders.workers import WorkersOrder

if TYPE_CHECKING:
    from faceid_cli.api.evaluate import Evaluation
    from faceid_cli.evaluation.summary import Summary

EPILOG = examples(
    "faceid evaluate alice",
    "faceid evaluate --all --prompts my-prompts.txt --pictures 4 -o evaluations",
)
_HEADING = (
    "ID",
    "likeness",
    "prompt",
    "ID(P)",
    "one face",
    "face moves",
    "background",
    "in face",
    "sharp",
    "faces",
    "s/picture",
)
# In a narrow terminal; scores.json has all of them.
_FIRST_TO_GO = ("s/picture", "background", "face moves", "faces", "sharp", "one face")


@spread(RenderConfig, ModelOptions, WorkersOrder, only=(*OF_SCORED_PICTURES, *leaves(WorkersOrder)))
def evaluate(
    given: dict[str, Any],
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="An enrolled person.", autocompletion=complete_names),
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody who is enrolled.")] = False,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", metavar="FILE", help="Your own prompts, one a line; {} is the person.")
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option("--photos", metavar="PATH", help="Compare with these photos; by default with the enrolment's."),
    ] = None,
    pictures: Annotated[int, typer.Option("--pictures", metavar="K", help="Pictures for each prompt.")] = 1,
    judge: options.Judge = "auto",
    clip: options.Clip = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder for each person goes there.")
    ] = None,
    model: options.Model = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score a person's pictures: likeness, obedience to the prompt, variety, attention."""
    if (name is None) != everybody:
        raise UsageError("give either a name or --all", "`faceid list` shows who is enrolled")
    config, loading = build(RenderConfig, given), build(ModelOptions, given)
    workers, where = build(WorkersOrder, given), output_folder(output)

    from faceid_cli.api import evaluate as measuring

    with picture_progress() as on_picture:
        found = measuring.evaluate(
            name,
            prompts=prompts,
            photos=photos or (),
            pictures=pictures,
            config=config,
            model=model,
            options=loading,
            judge=judge,
            clip=clip,
            output=where,
            on_picture=on_picture,
            on_note=out.note,
            where=workers,
        )
    out.result(
        {"command": "evaluate", "evaluations": [measuring.evaluation_data(each) for each in found]},
        [*_table(found), "", *(f"{each.identity.name}: {each.folder}" for each in found)],
        [str(each.folder) for each in found],
    )
    out.hint(f"next: look at {found[0].folder}/grid.png, and faceid attention {found[0].identity.name} PROMPT")


def _table(found: list[Evaluation]) -> list[str]:
    """Of one person a line a group of prompts; of several a line a person."""
    if len(found) > 1:
        rows, first = [_row(each.identity.name, each.summary) for each in found], "NAME"
    else:
        groups = {**found[0].groups, "all": found[0].summary}
        rows, first = [_row(group, summary) for group, summary in groups.items()], "PROMPTS"
    return fitting_table(rows, (first, *_HEADING), _FIRST_TO_GO, out.columns)


def _row(label: str, summary: Summary) -> tuple[str, ...]:
    return (
        label,
        _number(summary.identity),
        "-" if summary.likeness_percent is None else f"{round(summary.likeness_percent)} %",
        _number(summary.prompt),
        _number(summary.identity_of_prompt),
        _number(summary.one_face),
        _number(summary.face_place_spread),
        _number(summary.background_spread),
        _number(summary.attention_inside),
        _number(summary.sharpness),
        _number(summary.face_spread),
        _number(summary.seconds),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 2) + 0.0:.2f}"  # 0.0 turns -0.00 into 0.00


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", epilog=EPILOG)(evaluate)

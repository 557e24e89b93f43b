"""`faceid batch`: render the rows of a file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceid_cli.cli import options
from faceid_cli.cli.options import examples, output_folder, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import batch_progress
from faceid_cli.cli.views import duration, error_data, outcome_data, plural, render_data
from faceid_cli.errors import BatchError, FaceIDError, UsageError
from faceid_cli.kept.remote import shown_path
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.batching import BatchOrder

if TYPE_CHECKING:
    from faceid_cli.api.batch import BatchPlan
    from faceid_cli.api.wanted import Outcome

EPILOG = examples(
    "faceid batch jobs.csv -o pictures",
    "faceid batch prompts.txt --for alice,bob --seeds 0-9 -o '{name}-{seed}.png'",
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be rendered, and how long it may take.")]
Sides = Annotated[
    list[str] | None, typer.Argument(metavar="[OPTION=A,B]...", help="More sides of --grid.", show_default=False)
]
Template = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A folder, or names such as {name}/{index:05d}-{seed}-{slug}.png.",
    ),
]
_STATUS_LINES = {"there": "  there already", "planned": ""}


@spread(BatchOrder, RenderOrder, without=("names", "prompt", "output"))
def batch(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Rows: a prompt a line, CSV, JSON lines or YAML; - for a pipe.")
    ],
    given: dict[str, Any],
    sides: Sides = None,
    output: Template = None,
    dry_run: DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Render many pictures: rows of a file times people times seeds. The same again renders what is missing."""
    run("batch", file, with_sides(given, sides), output, dry_run)


def with_sides(given: dict[str, Any], sides: list[str] | None) -> dict[str, Any]:
    """Options with the sides of a grid that stand after its first one: --grid guidance=5,7.5 steps=20,40."""
    if not sides:
        return given
    if not given.get("grid") or not all("=" in side for side in sides):
        raise UsageError(f"unexpected argument {sides[0]!r}", "put prompts and names with spaces into quotes")
    return {**given, "grid": (*given["grid"], *sides)}


def run(command: str, jobs: Any, given: dict[str, Any], output: str | None, dry_run: bool) -> None:
    """Render rows, and print each picture as soon as it is there.

    Args:
        command: What the user called.
        jobs: As for `faceid_cli.batch`.
        given: Options by field names.
        output: A folder or a template; None for the user's own folder.
        dry_run: Only say what would be done.
    """
    from faceid_cli.api.batch import check_outcomes, plan_batch, run_batch, split_options

    shown = _Shown(command, bool(given.get("fail_fast")))
    where = str(output_folder(None)) if output is None else output
    try:
        order, common = split_options(given)
        plan = plan_batch(jobs, order, common, where, out.note)
        if dry_run:
            _show_plan(command, plan)
            return
        if not isinstance(jobs, str) and plan.bad and plan.bad[0].error is not None:  # the command line's own prompt
            raise plan.bad[0].error
        with batch_progress() as on_progress:
            run_batch(plan, shown, on_progress, out.note)
        shown.summary(plan)
        check_outcomes(plan, shown.counts)
    except FaceIDError as error:
        shown.fatal(error)
        raise
    out.hint("next: the same again renders what is missing; --seeds 0-9 or --grid guidance=3,7 for more of it")


class _Shown:
    """Prints what came of pictures, and counts it."""

    def __init__(self, command: str, fail_fast: bool) -> None:
        self._command, self._fail_fast = command, fail_fast
        self._told: FaceIDError | None = None
        self.counts: Counter[str] = Counter()

    def __call__(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        data = {"command": self._command, **outcome_data(outcome)}
        if outcome.render is not None:
            data |= render_data(outcome.render)
        if outcome.error is not None:
            self._told = outcome.error
            if out.mode == "json":
                out.item(data, ())
            elif not self._fail_fast:  # else it ends the command, which says it
                out.error(outcome.error)
            return
        path = shown_path(outcome.path)
        if outcome.status == "rejected":
            out.item(data, ())
            out.note(f"{path}  seed {outcome.seed}  likeness {outcome.similarity:.2f} is too little")
        elif outcome.status == "there":
            out.item(data, (), [path])
        else:
            out.item(data, [f"{path}  seed {outcome.seed}"], [path])

    def summary(self, plan: BatchPlan) -> None:
        """Say how much there is."""
        counts = dict(self.counts)
        if out.mode == "json":
            out.item({"command": self._command, "status": "done", "counts": counts}, ())
        elif there := counts.get("there"):
            out.note(f"{plural(there, 'picture')} of {plan.pictures} were there already")

    def fatal(self, error: FaceIDError) -> None:
        """Under --json also what ends all is JSON; the line on stderr follows."""
        if out.mode == "json" and error is not self._told and not isinstance(error, BatchError):
            out.item({"command": self._command, "status": "stopped", "error": error_data(error)}, ())


def _show_plan(command: str, plan: BatchPlan) -> None:
    """Rows, and an estimate."""
    from faceid_cli.api.batch import estimated_seconds

    for outcome in plan.bad:
        if outcome.error is not None:
            out.error(outcome.error)
    rows = [(each.job, each.path, "there") for each in plan.there]
    rows += [(each.job, each.path, "planned") for each in plan.missing]
    for job, path, status in sorted(rows, key=lambda row: 0 if row[0] is None else row[0].index):
        assert job is not None
        names, seed = "+".join(job.order.names), "random" if job.is_drawn else job.seed
        data = {
            "command": command,
            "status": status,
            "index": job.index,
            "file": shown_path(path),
            "names": list(job.order.names),
            "prompt": job.order.prompt,
            "seed": None if job.is_drawn else job.seed,
            "grid": list(job.labels),
        }
        labels = "".join(f"  {label}" for label in job.labels)
        text = f"{shown_path(path)}  {names}  seed {seed}{labels}  {job.order.prompt}{_STATUS_LINES[status]}"
        out.item(data, [text], [shown_path(path)])
    seconds = estimated_seconds(plan)
    left = "" if not seconds else f", about {duration(seconds)}"
    unknown = "" if seconds is not None or not plan.missing else "; how long that takes is not known yet"
    there = f", {len(plan.there)} there already" if plan.there else ""
    out.note(f"{plural(len(plan.missing), 'picture')} to render{left}{there}{unknown}")
    if plan.bad:
        raise BatchError(f"{plural(len(plan.bad), 'picture')} would fail", "the others would be rendered all the same")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("batch", epilog=EPILOG)(batch)

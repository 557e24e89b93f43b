"""Many pictures in one go: rows of a file times people times options times seeds."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faceid_cli.api.already import Already
from faceid_cli.api.claiming import claimed_batch
from faceid_cli.api.loaded import Loaded, Once
from faceid_cli.api.mixing import Mixer
from faceid_cli.api.results import Results
from faceid_cli.api.row_files import content_of, write_failed_rows
from faceid_cli.api.saving import WRITERS, Saver, make_folder
from faceid_cli.api.settling import Settling
from faceid_cli.api.sheets import write_sheets
from faceid_cli.api.sinks import Files
from faceid_cli.api.spreading import render_spread
from faceid_cli.api.tally import Tally
from faceid_cli.api.wanted import FAILED, THERE, OnOutcome, Outcome, Wanted
from faceid_cli.errors import BatchError, FaceIDError, InterruptedRunError, OutputError, UsageError
from faceid_cli.jobs.expand import Expansion
from faceid_cli.jobs.failed import failed_lines
from faceid_cli.jobs.naming import Template, template_of
from faceid_cli.jobs.reading import read_rows
from faceid_cli.jobs.rows import Place, Row
from faceid_cli.kept.remote import shown_path
from faceid_cli.model_files import fingerprint_of
from faceid_cli.orders import MAX_SEED, RenderOrder
from faceid_cli.orders.batching import BatchOrder
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.option import each_checked, parted
from faceid_cli.orders.signatures import takes
from faceid_cli.registry.requests import seconds_per_step
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.provenance import wanted_provenance
from faceid_cli.types import OnNote, OnProgress

NOT_OF_ROWS = ("names", "prompt", "output")
"""What `batch` takes from rows, or in another way, of the options of a rendering."""
FAILED_FILE = "failed.jsonl"


@dataclass(frozen=True)
class BatchPlan:
    """What a batch comes to, before anything is rendered.

    Attributes:
        missing: Pictures to be rendered.
        there: Those that are there already.
        bad: Rows of which nothing can be made.
        output: Where pictures go.
        first_seed: The first of the seeds that nobody asked for; None where all were.
        order: How the work is done.
    """

    missing: tuple[Wanted, ...]
    there: tuple[Outcome, ...]
    bad: tuple[Outcome, ...]
    output: Template
    first_seed: int | None
    order: BatchOrder

    @property
    def pictures(self) -> int:
        """All of them."""
        return len(self.missing) + len(self.there)


@takes(BatchOrder)
@takes(RenderOrder, without=NOT_OF_ROWS)
def batch(
    jobs: Path | str | Iterable[Mapping[str, Any] | str],
    *,
    output: Path | str = ".",
    on_outcome: OnOutcome | None = None,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
    **options: Any,
) -> list[Outcome]:
    """Render many pictures: the base model is loaded once, and pictures that are sampled alike share a batch.

    Args:
        jobs: A file of rows (text, CSV, JSON a line, YAML), or rows: mappings of options, or prompts.
        output: A folder, or a template of file names such as "{name}/{index:05d}-{seed}-{slug}.png".
        on_outcome: Called with each picture as it is finished.
        on_progress: Called with (pictures done, pictures in all).
        on_note: Called with a line worth telling the user.
        options: Of `BatchOrder`, and of `RenderOrder` for rows that do not say otherwise.

    Returns:
        What came of each picture, in the order in which they were finished; pictures themselves are not kept. Those
        that failed are among them, with their errors.

    Raises:
        UsageError: The file cannot be read, or an option cannot be.
        OutputError: A file cannot be written; what was finished stays.
        FaceIDError: With `fail_fast`, what the first picture failed of.
    """
    order, common = split_options(options)
    plan = plan_batch(jobs, order, common, output, on_note)
    done: list[Outcome] = []

    def take(outcome: Outcome) -> None:
        done.append(replace(outcome, render=None))
        if on_outcome is not None:
            on_outcome(outcome)

    run_batch(plan, take, on_progress, on_note)
    return done


def split_options(options: Mapping[str, Any]) -> tuple[BatchOrder, dict[str, Any]]:
    """Options by name as the batch's own, and those of its pictures.

    What options of pictures say together is checked only with what a row says.

    Raises:
        UsageError: An option that does not exist, or cannot be.
    """
    own, common = parted(BatchOrder, options)
    order = BatchOrder.of(**own)
    common = each_checked(RenderOrder, common)
    order.where.check_beside(common.get("device"))
    return order, {**common, **({"seeds": order.seeds} if order.seeds else {})}


def plan_batch(
    jobs: Path | str | Iterable[Mapping[str, Any] | str],
    order: BatchOrder,
    common: Mapping[str, Any],
    output: Path | str,
    on_note: OnNote | None = None,
) -> BatchPlan:
    """Read rows, and find out what is missing. Arguments and errors as of `batch`; nothing is loaded or written."""
    note, template = Once(on_note), template_of(output)
    rows, beside = _rows(jobs, order.rows_format)
    first = secrets.randbelow(MAX_SEED + 1)
    expansion = Expansion(order, common, _people(order), template, first, note)
    settling = Settling(note, order.retries)
    found = [settling.settle(job) for job in expansion.jobs(rows, beside)]
    missing = tuple(each for each in found if isinstance(each, Wanted))
    outcomes = [each for each in found if isinstance(each, Outcome)]
    is_drawn = any(each.job.is_drawn for each in missing)
    return BatchPlan(
        missing,
        tuple(each for each in outcomes if each.status == THERE),
        tuple(each for each in outcomes if each.status == FAILED),
        template,
        first if is_drawn else None,
        order,
    )


def run_batch(
    plan: BatchPlan,
    on_outcome: OnOutcome,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
    loaded: Loaded | None = None,
) -> None:
    """Render what is missing. Arguments and errors as of `batch`.

    Args:
        plan: As `plan_batch` made it.
        on_outcome: See `batch`.
        on_progress: See `batch`.
        on_note: See `batch`.
        loaded: A base model and people that were loaded before; loaded now if None.

    Raises:
        InterruptedRunError: Ctrl-C; what was finished stays.
        BatchError: Another process is rendering the same pictures.
    """
    note, tally = Once(on_note), Tally(len(plan.missing), on_outcome, on_progress)
    for outcome in (*plan.there, *plan.bad):
        tally(outcome)
        if outcome.status == FAILED and plan.order.fail_fast and outcome.error is not None:
            raise outcome.error
    if plan.missing:
        if plan.first_seed is not None:
            note(f"the first seed is {plan.first_seed}")
        done = [each.job for each in plan.there if each.job is not None]
        with claimed_batch([job.request for job in (*done, *(each.job for each in plan.missing))], plan.output.root):
            _render(plan, tally, note, loaded or Loaded(note))
    write_sheets(tally.cells, note)
    _write_failed(plan, tally.failures, note)


def check_outcomes(plan: BatchPlan, outcomes: Mapping[str, int]) -> None:
    """Raise BatchError where some pictures failed.

    Args:
        plan: Of the batch.
        outcomes: How many there were of each status.
    """
    failed = outcomes.get(FAILED, 0)
    if failed:
        file = shown_path(failed_file(plan))
        is_whole = all(each.row is None or each.row.values for each in plan.bad)
        which = "their rows" if is_whole else "those of their rows that say anything"
        raise BatchError(
            f"{failed} of {plan.pictures + len(plan.bad)} pictures failed",
            f"{which} are in {file}: faceid batch {file}",
        )


def failed_file(plan: BatchPlan) -> Path:
    """Where failed rows go."""
    return plan.order.failed or plan.output.root / FAILED_FILE


def estimated_seconds(plan: BatchPlan) -> float | None:
    """How long the missing ones may take, by what earlier ones of their base models took; None where there are none."""
    with Registry.open(create=False) as registry:
        known: dict[str, float | None] = {}
        total = 0.0
        for wanted in plan.missing:
            source = wanted.opened.source
            if source not in known:
                known[source] = seconds_per_step(registry, fingerprint_of(source, wanted.opened.loading.variant))
            if (pace := known[source]) is None:
                return None
            total += pace * wanted.order.config.sampler.steps
    return total


def _render(plan: BatchPlan, tally: Tally, note: OnNote, loaded: Loaded) -> None:
    make_folder(plan.output.root)
    provenance = wanted_provenance(note)
    fail_fast, where = plan.order.fail_fast, plan.order.where
    saver = Saver(note, provenance, WRITERS if where.are_wanted else 1)
    sink = Files(saver, Already())
    try:
        if where.are_wanted:
            results = Results(sink, tally, note, fail_fast)
            render_spread(plan.missing, where, results, note, provenance is not None)
        else:
            Mixer(loaded, sink, tally, note, fail_fast).render(plan.missing)
        saver.close()
    except KeyboardInterrupt as error:
        saver.close()
        raise InterruptedRunError(
            f"stopped by Ctrl-C; {tally.finished} are finished", "the same command goes on where it stopped"
        ) from error
    except OutputError as error:
        raise OutputError(f"{error.message}; {tally.finished} are finished", error.hint) from error
    except FaceIDError:  # the first that failed, where that ends all
        saver.close()
        raise
    finally:
        saver.abandon()


def _rows(jobs: Path | str | Iterable[Mapping[str, Any] | str], kind: str) -> tuple[list[Row], Path | None]:
    """Rows, and a folder of wildcards that lies beside their file."""
    if not isinstance(jobs, str | Path):
        if kind != "auto":
            raise UsageError("--rows-format says what a file of rows is, and there is none", "leave it out")
        rows = [{"prompt": row} if isinstance(row, str) else dict(row) for row in jobs]
        return [Row(Place("", number if len(rows) > 1 else 0), row) for number, row in enumerate(rows, 1)], None
    name, content = content_of(jobs, "prompts or rows")
    beside = user_path(jobs).parent / "wildcards"
    return read_rows(name, content, kind), beside if str(jobs) != "-" and beside.is_dir() else None


def _people(order: BatchOrder) -> Sequence[tuple[str, ...]]:
    if not order.everybody and order.tag is None:
        return order.people
    with Registry.open(create=False) as registry:
        found = [(person.name,) for person in registry.list(order.tag)]
    if not found:
        raise UsageError(
            "nobody is enrolled" if order.tag is None else f"nobody has the tag {order.tag}", "faceid list"
        )
    return found


def _write_failed(plan: BatchPlan, failures: Sequence[Outcome], note: OnNote) -> None:
    lines = failed_lines([(each.job, each.row, each.error) for each in failures])
    write_failed_rows(failed_file(plan), lines, plan.order.failed is not None)

"""Rows that failed, as rows that can be given again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from faceid_cli.errors import FaceIDError
from faceid_cli.jobs.columns import ERROR, REQUEST, written
from faceid_cli.jobs.expand import Job, holders
from faceid_cli.jobs.naming import literal
from faceid_cli.jobs.rows import Row
from faceid_cli.kept.remote import shown_path, whole_path
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.option import leaves


def failed_lines(failures: Iterable[tuple[Job | None, Row | None, FaceIDError | None]]) -> Iterator[dict[str, Any]]:
    """JSON objects, one for each picture or row that failed, with everything that its order said, and why it failed.

    Args:
        failures: Pictures, or rows where no picture could be made of them, with their errors.
    """
    for job, row, error in failures:
        said = "" if error is None else error.message
        if job is not None:
            yield {**_values(job), ERROR: said}
        elif row is not None and row.values:
            yield {**row.values, ERROR: said}


def _values(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {"names": list(job.order.names), "prompt": job.order.prompt}
    found |= {} if job.is_drawn else {"seed": job.seed}
    for name, (_, _, default) in leaves(RenderOrder).items():
        for holder in holders(job.order):
            if name not in found and name in vars(holder) and (value := getattr(holder, name)) != default:
                found[name] = written(value)
    request = {REQUEST: job.request} if job.request else {}
    return {**found, "output": literal(shown_path(whole_path(job.path))), **request}

"""The order to learn many people: who they are, and how the work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from faceid_cli.errors import UsageError
from faceid_cli.orders.batching import ROWS_FORMATS
from faceid_cli.orders.checks import at_least, one_of
from faceid_cli.orders.option import Options, group, option
from faceid_cli.orders.workers import WorkersOrder

MOST_TOGETHER = 8
"""People who share a pass where nothing is said."""


@dataclass(frozen=True)
class PeopleOrder(Options):
    """Who is learned, and how the work is done.

    Raises:
        UsageError: Options that do not go together.
    """

    groups: ClassVar[Mapping[str, type[Options]]] = {"where": WorkersOrder}

    rows: str | None = option(
        None,
        "Learn the people of a file: CSV, JSON lines or YAML with name, photos, and any option; - for a pipe.",
        "--from",
        metavar="FILE",
    )
    each: tuple[str, ...] = option(
        (), "Learn a person from each sub-folder, under its name; may be repeated.", "--each", metavar="FOLDER"
    )
    together: int | None = option(
        None,
        f"So many people share a pass; {MOST_TOGETHER}, and 1 with a large model on the CPU.",
        "--together",
        metavar="N",
        check=at_least("people together", 1),
    )
    rows_format: str = option(
        "auto",
        "What the file is, if its name does not say it: csv, jsonl or yaml.",
        "--rows-format",
        metavar="KIND",
        choices=ROWS_FORMATS[2:],
        check=one_of("rows-format", ("auto", *ROWS_FORMATS[2:])),
    )
    failed: Path | None = option(
        None, "Where rows of people who failed go; failed-people.jsonl here.", "--failed", metavar="FILE"
    )

    where: WorkersOrder = group(WorkersOrder)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows is not None and self.each:
            raise UsageError("--from and --each both say who", "give one of them")

"""The order for many pictures at once: what is rendered of the rows of a file, and how the work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import MAX_SEED, at_least, check_seed, one_of
from faceid_cli.orders.option import Options, group, option
from faceid_cli.orders.workers import WorkersOrder

ROWS_FORMATS = ("auto", "text", "csv", "jsonl", "json", "yaml")
MOST_SEEDS = 1_000_000


def read_people(text: str) -> dict[str, Any]:
    """Read "alice,bob+carol" as people of one picture each: alice alone, then bob and carol together.

    Raises:
        UsageError: No name between two commas.
    """
    found = tuple(tuple(name.strip() for name in part.split("+")) for part in text.split(","))
    if not all(name for names in found for name in names):
        raise UsageError(f"{text!r} leaves out a name", "write names with commas between: alice,bob")
    return {"people": found}


def read_seeds(text: str) -> dict[str, Any]:
    """Read "0-99" or "1,5,10-12" as seeds, in that order.

    Raises:
        UsageError: Anything else, or more than a million of them.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= MAX_SEED):
            raise UsageError(f"{text!r} names no seeds", "write them as 0-99 or 1,5,9")
        if len(found) + int(last) - int(first) >= MOST_SEEDS:
            raise UsageError(f"{text!r} names more than {MOST_SEEDS} seeds", "render them in several goes")
        found += range(int(first), int(last) + 1)
    return {"seeds": tuple(found)}


def _seeds(value: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(check_seed(seed) for seed in value)


def _shown_people(order: Any) -> str | None:
    return ",".join("+".join(names) for names in order.people) or None


@dataclass(frozen=True)
class BatchOrder(Options):
    """What is made of rows.

    Raises:
        UsageError: Options that do not go together.
    """

    groups: ClassVar[Mapping[str, type[Options]]] = {"where": WorkersOrder}

    people: tuple[tuple[str, ...], ...] = option(
        (),
        "Render rows without a name for each of these people; + puts several into one picture.",
        "--for",
        metavar="NAME,...",
        kind=str,
        read=read_people,
        write=_shown_people,
    )
    everybody: bool = option(False, "The same for everybody who is enrolled.", "--all")
    tag: str | None = option(None, "The same for everybody with this tag.", "--tag", metavar="TAG")
    seeds: tuple[int, ...] = option(
        (),
        "Render each row once with each of these seeds.",
        "--seeds",
        metavar="N-M",
        kind=str,
        check=_seeds,
        read=read_seeds,
        write=lambda order: ",".join(map(str, order.seeds)) or None,
    )
    grid: tuple[str, ...] = option(
        (),
        "Render each row with all of these values, and lay them out on a sheet; several make a grid.",
        "--grid",
        metavar="OPTION=A,B",
    )
    variants: int | None = option(
        None,
        "So many random variants of a prompt with {a|b} or __file__, instead of all.",
        "--variants",
        metavar="N",
        check=at_least("variants", 1),
    )
    wildcards: Path | None = option(
        None, "Folder of the files that __file__ stands for.", "--wildcards", metavar="FOLDER"
    )
    rows_format: str = option(
        "auto",
        "What the file is, if its name does not say it: text, csv, jsonl or yaml.",
        "--rows-format",
        metavar="KIND",
        choices=ROWS_FORMATS[1:],
        check=one_of("rows-format", ROWS_FORMATS),
    )
    retries: int = option(
        0, "Try pictures that failed so many times again.", "--retries", metavar="N", check=at_least("retries", 0)
    )
    fail_fast: bool = option(False, "Stop at the first picture that fails.", "--fail-fast")
    failed: Path | None = option(
        None, "Where failed rows go, to be given again; failed.jsonl beside the pictures.", "--failed", metavar="FILE"
    )
    where: WorkersOrder = group(WorkersOrder)

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum((bool(self.people), self.everybody, self.tag is not None)) > 1:
            raise UsageError("--for, --all and --tag each say who", "give one of them")

"""Timing several ways to do the same work by one clock and in turns, and keeping every result as it comes."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch

FIRST = 5  # times of each way that are told apart: libraries choose their kernels, and graphs are captured
_REFERENCE = "stock"
_COLUMNS = ("way", "batch", "first", "seconds", "to stock", "to one", "of the floor", "GB")


class Results:
    """What has been measured, in a file as soon as it is there.

    Args:
        path: Of the JSON file; None for none.
        seconds: After so many nothing new is begun.
    """

    def __init__(self, path: Path | None, seconds: float) -> None:
        self.path, self._started, self._seconds = path, time.perf_counter(), seconds
        self.content: dict[str, Any] = {"rows": []}

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() - self._started > self._seconds

    def say(self, **facts: Any) -> None:
        """Keep facts about the whole."""
        self.content |= facts
        self.write()

    def row(self, **cells: Any) -> dict[str, Any]:
        """Add a row; its cells may be changed until the next `write`."""
        self.content["rows"].append(cells)
        self.write()
        return cells

    def write(self) -> None:
        """Write what there is."""
        self.content["seconds"] = round(time.perf_counter() - self._started, 1)
        if self.path is not None:
            self.path.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")

    @contextmanager
    def guarded(self, **names: Any) -> Iterator[None]:
        """Record an error inside in place of a result."""
        try:
            yield
        except Exception as error:
            lines = str(error).strip().splitlines()
            print(f"{names}: {type(error).__name__}: {lines[0] if lines else ''}", flush=True)
            self.row(**names, error=f"{type(error).__name__}: {' '.join(lines)[:400]}")
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


class Timed:
    """One way to do a piece of work again and again.

    Args:
        name: In the table.
        device: Where it is done.
        around: What must hold while it is done; not timed.
        once: Does the work once.
        close: Called at the end.
    """

    def __init__(
        self,
        name: str,
        device: torch.device,
        around: Callable[[], Any],
        once: Callable[[Any], None],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.device, self.close = name, device, close
        self._around, self._once = around, once
        self.seconds: list[float] = []
        self.peak_gb = 0.0

    def turn(self, count: int) -> None:
        """Do it some times, each timed from an idle device to an idle device."""
        with self._around() as inside:
            before = torch.cuda.memory_allocated(self.device) if self.device.type == "cuda" else 0
            if before:
                torch.cuda.reset_peak_memory_stats(self.device)
            for _ in range(count):
                wait_for(self.device)
                started = time.perf_counter()
                self._once(inside)
                wait_for(self.device)
                self.seconds.append(time.perf_counter() - started)
            if before and not self.peak_gb:
                self.peak_gb = (torch.cuda.max_memory_allocated(self.device) - before) / 1e9


def wait_for(device: torch.device) -> None:
    """Until a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_turns(
    ways: Mapping[str, Callable[[], Timed]],
    rounds: int,
    results: Results,
    rows: dict[str, dict[str, Any]],
    first: int = FIRST,
    each: int = 4,
    **names: Any,
) -> None:
    """Time all ways, a few times each and in turns, and fill their rows in."""
    alive: list[Timed] = []
    for name, make in ways.items():
        if results.is_late:
            results.row(**names, way=name, error="no time was left")
            continue
        with results.guarded(**names, way=name):
            timed = make()
            timed.turn(first)
            alive.append(timed)
            rows[name] = results.row(**names, way=name, first=rounded(timed.seconds), peak_gb=round(timed.peak_gb, 3))
    for turn in range(rounds):
        for timed in alive if turn % 2 == 0 else alive[::-1]:
            if results.is_late and turn:
                break
            with results.guarded(**names, way=timed.name):
                timed.turn(each)
                steady = timed.seconds[first:]
                rows[timed.name] |= {"median": median(steady), "best": min(steady), "steady": rounded(steady)}
                results.write()
    for timed in alive:
        timed.close()
        reference = rows.get(_REFERENCE, {}).get("median")
        if reference and "median" in rows[timed.name]:
            rows[timed.name]["to_stock"] = rows[timed.name]["median"] / reference
    results.write()
    gc.collect()


def rounded(seconds: Sequence[float]) -> list[float]:
    """For the file."""
    return [round(each, 5) for each in seconds]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All rows as text: seconds of the slowest first step, median of the others, ratios, memory beside the weights."""
    lines = [_COLUMNS]
    for row in rows:
        name = row["way"] if row["part"] == "training" else f"{row['part']}: {row['way']}"
        if "error" in row:
            lines.append((name, str(row["batch"]), row["error"][:60], *[""] * (len(_COLUMNS) - 3)))
            continue
        cells = (
            f"{max(row['first']):.3f}" if "first" in row else "",
            f"{row['median']:.4f}" if "median" in row else "",
            f"{row['to_stock']:.3f}" if "to_stock" in row else "",
            f"{row['to_one']:.2f}" if "to_one" in row else "",
            f"{row['of_floor']:.2f}" if "of_floor" in row else "",
            f"{row['peak_gb']:.2f}" if row.get("peak_gb") else "",
        )
        lines.append((name, str(row["batch"]), *cells))
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)

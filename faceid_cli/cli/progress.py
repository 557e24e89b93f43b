"""Progress on stderr: one moving display in a terminal, a plain line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from faceid_cli.cli.output import out
from faceid_cli.types import StepReport

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def training_progress() -> Iterator[Callable[[StepReport], None]]:
    """Yield what takes the reports of a training run."""
    if out.live:
        with _moving("learning") as update:
            yield lambda report: update(report.step, report.steps, _losses(report), report.seconds_left)
        return
    gate = _Gate()

    def line(report: StepReport) -> None:
        if gate.opens(report.step == report.steps):
            speed = f"{report.steps_per_second:.1f} steps/s, {_duration(report.seconds_left)} left"
            out.note(f"step {report.step}/{report.steps}  {_losses(report)}  {speed}")

    yield line


@contextmanager
def render_progress() -> Iterator[Callable[[int, int], None]]:
    """Yield what takes (sampler steps done, steps in all) of a rendering."""
    if out.live:
        with _moving("rendering") as update:
            yield lambda done, total: update(done, total, "", None)
        return
    gate = _Gate()

    def line(done: int, total: int) -> None:
        if gate.opens(False) and done < total:
            out.note(f"rendering {100 * done // max(total, 1)} %")

    yield line


class _Gate:
    """Opens every few seconds, and for the last report."""

    def __init__(self) -> None:
        self._opened = time.monotonic()

    def opens(self, last: bool) -> bool:
        now = time.monotonic()
        if not last and now - self._opened < _SECONDS_BETWEEN_LINES:
            return False
        self._opened = now
        return True


@contextmanager
def _moving(label: str) -> Iterator[Callable[[int, int, str, float | None], None]]:
    # rich takes a moment to import and is only needed here.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

    columns: list[ProgressColumn] = [
        TextColumn(label),
        BarColumn(bar_width=30),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[losses]}"),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[left]}"),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task: Any = None
        started = time.monotonic()
        first = 0

        def update(done: int, total: int, losses: str, seconds_left: float | None) -> None:
            nonlocal task, first, started
            if task is None:
                task = display.add_task(label, total=total, losses="", speed="", left="")
                first, started = done, time.monotonic()
            speed = (done - first) / max(time.monotonic() - started, 1e-6)
            left = (total - done) / speed if seconds_left is None and speed else seconds_left
            display.update(
                task,
                completed=done,
                total=total,
                losses=losses,
                speed=f"{speed:.1f} steps/s",
                left="" if left is None else f"{_duration(left)} left",
            )

        yield update


def _losses(report: StepReport) -> str:
    return f"reconstruction {report.reconstruction:.4f}  attention {report.attention:.5f}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"

"""Progress on stderr: one moving display in a terminal, a plain line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faceid_cli.cli.output import out
from faceid_cli.types import StepReport

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0


class TrainingDisplay:
    """Takes the reports of a training run."""

    def __init__(self, moving: _MovingDisplay | None) -> None:
        self._moving, self._gate = moving, _Gate()

    def __call__(self, report: StepReport) -> None:
        """Show how far a run is."""
        if self._moving is not None:
            self._moving(report.step, report.steps, _losses(report), report.seconds_left)
        elif self._gate.opens(report.step == report.steps):
            speed = f"{report.steps_per_second:.1f} steps/s, {_duration(report.seconds_left)} left"
            out.note(f"step {report.step}/{report.steps}  {_losses(report)}  {speed}")

    def make_room(self) -> None:
        """Take the moving display away, so that something else can be shown; the next report brings it back."""
        if self._moving is not None:
            self._moving.stop()


@contextmanager
def training_progress() -> Iterator[TrainingDisplay]:
    """Yield what takes the reports of a training run."""
    if out.live:
        with _moving("learning") as update:
            yield TrainingDisplay(update)
        return
    yield TrainingDisplay(None)


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


@contextmanager
def picture_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what takes (name, pictures done, pictures in all) of an evaluation."""
    if out.live:
        with _moving("evaluating") as update:
            yield lambda name, done, total: update(done, total, name, None)
        return
    gate = _Gate()

    def line(name: str, done: int, total: int) -> None:
        if gate.opens(False) and done < total:
            out.note(f"{name}: {done} of {total} pictures")

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


class _MovingDisplay:
    """A bar that appears with the first report and goes with the last, so that several can follow each other."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._progress: Progress | None = None
        self._started = 0.0
        self._first = 0

    def __call__(self, done: int, total: int, losses: str, seconds_left: float | None) -> None:
        if self._progress is None:
            self._start(done, total)
        assert self._progress is not None
        speed = (done - self._first) / max(time.monotonic() - self._started, 1e-6)
        left = (total - done) / speed if seconds_left is None and speed else seconds_left
        self._progress.update(
            self._progress.task_ids[0],
            completed=done,
            losses=losses,
            speed=f"{speed:.1f} steps/s" if speed else "",
            left="" if left is None else f"{_duration(left)} left",
        )
        if done >= total:
            self.stop()

    def stop(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _start(self, done: int, total: int) -> None:
        # rich takes a moment to import and is only needed here.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        fields = ("losses", "speed", "left")
        columns = (
            TextColumn("{task.completed}/{task.total}"),
            *(TextColumn(f"{{task.fields[{key}]}}") for key in fields),
        )
        self._progress = Progress(
            TextColumn(self._label), BarColumn(bar_width=30), *columns, console=Console(stderr=True), transient=True
        )
        self._progress.add_task(self._label, total=total, losses="", speed="", left="")
        self._progress.start()
        self._started, self._first = time.monotonic(), done


@contextmanager
def _moving(label: str) -> Iterator[_MovingDisplay]:
    display = _MovingDisplay(label)
    try:
        yield display
    finally:
        display.stop()


def _losses(report: StepReport) -> str:
    return f"reconstruction {report.reconstruction:.4f}  attention {report.attention:.5f}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"

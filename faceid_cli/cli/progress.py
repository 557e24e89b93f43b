"""Progress on stderr: one moving display in a terminal, a plain line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faceid_cli.cli.loading_line import LoadingLine, loading_line
from faceid_cli.cli.output import out
from faceid_cli.cli.views import duration
from faceid_cli.cli.visible import visible
from faceid_cli.types import StepReport

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0
_BAR_WIDTH = 20


class TrainingDisplay:
    """Takes the reports of a training run."""

    def __init__(self, moving: _MovingDisplay | None, loading: LoadingLine) -> None:
        self._moving, self._gate, self._loading = moving, _Gate(), loading

    def __call__(self, report: StepReport) -> None:
        """Show how far a run is."""
        self._loading.end()
        people = f"{report.people} people" if report.people > 1 else ""
        if self._moving is not None:
            said = {"losses": _losses(report), "loss": f"loss {report.reconstruction:.4f}", "pictures": people}
            self._moving(report.step, report.steps, report.seconds_left, **said)
        elif self._gate.opens(report.step == report.steps):
            speed = f"{report.steps_per_second:.1f} steps/s, {duration(report.seconds_left)} left"
            place = f"step {report.step}/{report.steps}"
            out.note("  ".join(filter(None, (people, place, _losses(report), speed))))

    def make_room(self) -> None:
        """Take the moving display away, so that something else can be shown; the next report brings it back."""
        self._loading.end()
        if self._moving is not None:
            self._moving.stop()


@contextmanager
def training_progress() -> Iterator[TrainingDisplay]:
    """Yield what takes the reports of a training run."""
    with loading_line() as loading:
        if out.live:
            with _moving("learning") as update:
                yield TrainingDisplay(update, loading)
            return
        yield TrainingDisplay(None, loading)


@contextmanager
def render_progress(pictures: int = 1) -> Iterator[Callable[[int, int], None]]:
    """Yield what takes (sampler steps done, steps in all) of a rendering of so many pictures."""

    def picture(done: int, total: int) -> str:
        number = min(done * pictures // max(total, 1) + 1, pictures)
        return f"picture {number}/{pictures}" if pictures > 1 else ""

    with loading_line() as loading, _moving("rendering") as update:
        gate = _Gate()

        def show(done: int, total: int) -> None:
            loading.end()
            if out.live:
                update(done, total, None, pictures=picture(done, total))
            elif gate.opens(False) and done < total:
                said = ("rendering", picture(done, total), f"{100 * done // max(total, 1)} %")
                out.note(" ".join(filter(None, said)))

        yield show


@contextmanager
def picture_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what takes (name, pictures done, pictures in all) of an evaluation."""
    with loading_line() as loading, _moving("evaluating", unit="pictures") as update:
        gate = _Gate()

        def show(name: str, done: int, total: int) -> None:
            loading.end()
            if out.live:
                update(done, total, None, pictures=name)
            elif gate.opens(False) and done < total:
                out.note(f"{name}: {done} of {total} pictures")

        yield show


@contextmanager
def file_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what takes (files done, files in all) of an archive."""
    with _moving(label, unit="files") as update:
        gate = _Gate()

        def show(done: int, total: int) -> None:
            if out.live:
                update(done, total, None)
            elif gate.opens(False) and done < total:
                out.note(f"{done} of {total} files")

        yield show


@contextmanager
def batch_progress() -> Iterator[Callable[[int, int], None]]:
    """Yield what takes (pictures done, pictures in all) of a batch; it counts, and says when it will be done."""
    with loading_line() as loading, _moving("rendering", unit="pictures") as update:
        gate, pace = _Gate(), _Pace()

        def show(done: int, total: int) -> None:
            loading.end()
            pace.reported(done)
            if out.live:
                update(done, total, None)
            elif gate.opens(False) and done < total:
                left = pace.seconds_left(done, total)
                out.note(f"{done} of {total} pictures" + ("" if left is None else f", {duration(left)} left"))

        yield show


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


class _Pace:
    """How long the rest will take, by what was done since the first report: before it, something was loaded."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def reported(self, done: int) -> None:
        if self._first is None:
            self._first = (time.monotonic(), done)

    def seconds_left(self, done: int, total: int) -> float | None:
        if self._first is None or done <= self._first[1]:
            return None
        return (time.monotonic() - self._first[0]) / (done - self._first[1]) * (total - done)


class _MovingDisplay:
    """A bar that appears with the first report and goes with the last, so that several can follow each other."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._progress: Progress | None = None
        self._started = 0.0
        self._first = 0

    def __call__(self, done: int, total: int, seconds_left: float | None, **said: str) -> None:
        if self._progress is None:
            self._start(done, total)
        assert self._progress is not None
        speed = (done - self._first) / max(time.monotonic() - self._started, 1e-6)
        left = (total - done) / speed if seconds_left is None and speed else seconds_left
        fields = {
            "pictures": visible(said.get("pictures", "")),
            "count": f"{done}/{total} {self._unit}",
            "losses": said.get("losses", ""),
            "speed": f"{speed:.1f} {self._unit}/s" if speed else "",
            "left": "" if left is None else f"{duration(left)} left",
        }
        room = self._progress.console.width - len(self._label) - _BAR_WIDTH - 2
        shown = fitting_fields(fields, said.get("loss", ""), room)
        self._progress.update(self._progress.task_ids[0], completed=done, said=shown)
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
        from rich.table import Column

        columns = (
            TextColumn(self._label, markup=False),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[said]}", markup=False, table_column=Column(no_wrap=True)),
        )
        # Results go to stdout meanwhile: rich would send them to stderr, where the bar is.
        self._progress = Progress(
            *columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
        )
        self._progress.add_task(self._label, total=total, said="")
        self._progress.start()
        self._started, self._first = time.monotonic(), done


@contextmanager
def _moving(label: str, unit: str = "steps") -> Iterator[_MovingDisplay]:
    display = _MovingDisplay(label, unit)
    try:
        yield display
    finally:
        display.stop()


def fitting_fields(fields: Mapping[str, str], loss: str, room: int) -> str:
    """What is said beside a bar, in one line: what matters least is left out first where it is too long.

    Args:
        fields: "pictures", "count", "losses", "speed" and "left", in the order in which they are shown.
        loss: What can be said instead of "losses".
        room: Characters.
    """
    kept = dict(fields)
    for name, shorter in (("losses", loss), ("speed", ""), ("losses", ""), ("left", ""), ("pictures", "")):
        line = "  ".join(filter(None, kept.values()))
        if len(line) <= room:
            return line
        kept[name] = shorter
    return "  ".join(filter(None, kept.values()))


def _losses(report: StepReport) -> str:
    return f"reconstruction {report.reconstruction:.4f}  attention {report.attention:.5f}"

"""How long a run takes and how much memory, from a few steps of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from faceid_cli.backbone import BaseModel, memory_errors
from faceid_cli.backbone.peak import Peak
from faceid_cli.errors import FaceIDError, OutOfMemoryError
from faceid_cli.orders import TrainConfig
from faceid_cli.training.loop import memory_hint, train_runs
from faceid_cli.training.run import Lesson, Run
from faceid_cli.types import FaceCrop, StepReport

_ON_GPU, _ON_CPU = 24, 6  # steps: on a GPU the first are launched, then one is captured, and the others are replayed
_LONG = 20.0  # seconds after which a probe has seen enough
_SPARE = 0.95  # of the room; the rest is for what the system does meanwhile


@dataclass(frozen=True)
class Probe:
    """What a few steps have shown.

    Attributes:
        batch_size: That they were done with: the largest that fits, up to the one that was asked for.
        fits: Whether the one that was asked for fits.
        begin_seconds: What is done once before the first step.
        first_seconds: Of the first steps, which libraries take longer for, `first_steps` of them.
        first_steps: How many that were.
        step_seconds: Of each further step.
        memory_bytes: At the peak; on a GPU of its memory.
        room_bytes: What there is; None where the system does not tell.
        checkpoint_bytes: Of a checkpoint.
    """

    batch_size: int
    fits: bool
    begin_seconds: float
    first_seconds: float
    first_steps: int
    step_seconds: float
    memory_bytes: int
    room_bytes: int | None
    checkpoint_bytes: int

    def seconds_of(self, steps: int) -> float:
        """How long a run of so many steps takes."""
        first = self.first_seconds * min(steps, self.first_steps) / max(self.first_steps, 1)
        return self.begin_seconds + first + self.step_seconds * max(steps - self.first_steps, 0)


class _Enough(Exception):
    """A probe has seen what it is to see."""


def probe(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> Probe:
    """Do a few steps of a run, with its batch if that fits into memory, else with half of it, and so on.

    A system that is out of memory ends processes without a word. So on the CPU a batch of one says first what more rows
    would take, and what would not fit is not tried.

    Args:
        base: The base model.
        crops: What is learned from.
        config: Settings; settled.

    Raises:
        OutOfMemoryError: Not even a batch of one fits.
    """
    size, peak = config.batch_size, Peak(base.device)
    if base.device.type == "cpu" and size > 1:
        size = _largest_likely(base, crops, config, peak)
    while True:
        try:
            with memory_errors(memory_hint(base, replace(config, batch_size=size))):
                found = _probed(base, crops, replace(config, batch_size=size), peak)
            return replace(found, fits=size == config.batch_size)
        except OutOfMemoryError:
            if size == 1:
                raise
            size //= 2


def _largest_likely(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig, peak: Peak) -> int:
    before, room = peak.now, peak.room
    peak.restart()
    with memory_errors(memory_hint(base, replace(config, batch_size=1))):
        _probed(base, crops, replace(config, batch_size=1), peak, most=1)
    a_row, size = max(peak.bytes - before, 0), config.batch_size
    while room is not None and size > 1 and before + size * a_row > _SPARE * room:
        size //= 2
    return size


def _probed(
    base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig, peak: Peak, most: int | None = None
) -> Probe:
    times: list[float] = []
    most = most or (_ON_GPU if base.device.type == "cuda" else _ON_CPU)
    room = peak.room
    peak.restart()

    def on_step(report: StepReport) -> None:
        times.append(time.perf_counter())
        if len(times) > most or (len(times) > 2 and times[-1] - times[0] > _LONG):
            raise _Enough

    def failed(_: Run, error: FaceIDError) -> None:
        raise error

    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = Run(base, Lesson(crops, replace(config, checkpoint_every=0), Path(folder)))
        times.append(time.perf_counter())
        with suppress(_Enough):
            train_runs([run], lambda _: None, failed, on_step)
        file = run.save()
        checkpoint = file.stat().st_size if file is not None else 0
    steps = [after - before for before, after in pairwise(times)]
    late = steps[len(steps) // 2 :]
    return Probe(
        config.batch_size,
        True,
        times[0] - started,
        sum(steps),
        len(steps),
        median(late),
        peak.bytes,
        room,
        checkpoint,
    )

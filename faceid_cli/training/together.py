"""Several people's runs in shared passes of one base model, as many at a time as fit into memory."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Hashable, Sequence

import torch

from faceid_cli.backbone import memory_errors
from faceid_cli.errors import FaceIDError, InterruptedRunError, OutOfMemoryError
from faceid_cli.orders import TrainConfig
from faceid_cli.training.loop import OnStep, memory_hint, train_runs
from faceid_cli.training.run import Run
from faceid_cli.types import OnNote


def shared_settings(config: TrainConfig) -> Hashable:
    """What has to be equal for people to share a pass: what gives it its shape, and weighs its losses."""
    return (
        config.stages,
        config.vectors,
        config.split_keys_values,
        config.batch_size,
        config.attention_weight,
        config.capture,
    )


def train_together(
    runs: Sequence[Run],
    on_finished: Callable[[Run], None],
    on_failed: Callable[[Run, FaceIDError], None],
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
) -> None:
    """Do all steps of some people's runs, together as far as memory allows; where it does not, half of them at a time.

    Args:
        runs: On one base model, with equal `shared_settings`.
        on_finished: Called with each run as soon as it is finished.
        on_failed: Called with a run that has failed, and why; the others go on.
        on_step: Called after each step.
        on_note: Called with a line worth telling the user.

    Raises:
        InterruptedRunError: Ctrl-C; checkpoints were saved.
    """
    waiting, gone = deque([tuple(runs)]), set[int]()

    def finished(run: Run) -> None:
        gone.add(id(run))
        on_finished(run)

    def failed(run: Run, error: FaceIDError) -> None:
        gone.add(id(run))
        on_failed(run, error)

    while waiting:
        group = waiting.popleft()
        try:
            problem = _trained(group, finished, failed, on_step, on_note)
        except InterruptedRunError:
            for run in (run for others in waiting for run in others if run.state.step):
                run.save()
            raise
        if problem is None:
            continue
        _let_go(group[0])
        left = [run for run in group if id(run) not in gone]
        if len(left) == 1:
            failed(left[0], problem)
        elif left:
            half = (len(left) + 1) // 2
            if on_note is not None:
                on_note(f"{len(left)} people do not fit into memory together: {half} share a pass from here on")
            waiting.extendleft((tuple(left[half:]), tuple(left[:half])))


def _trained(
    group: Sequence[Run],
    on_finished: Callable[[Run], None],
    on_failed: Callable[[Run, FaceIDError], None],
    on_step: OnStep | None,
    on_note: OnNote | None,
) -> OutOfMemoryError | None:
    """Train some runs in shared passes. Returns the error where they do not fit, without what it holds on to."""
    try:
        with memory_errors(memory_hint(group[0].engine.base, group[0].config)):
            train_runs(group, on_finished, on_failed, on_step, on_note)
    except OutOfMemoryError as error:
        return OutOfMemoryError(error.message, error.hint)
    return None


def _let_go(run: Run) -> None:
    """Give back what a pass that did not fit had taken; by now its error, which kept it, is gone."""
    gc.collect()
    if run.engine.base.device.type == "cuda":
        torch.cuda.empty_cache()

"""The training loop: steps, progress, checkpoints, Ctrl-C. What a step computes is in `engine`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from faceid_cli.attention import record_attention, split_attention
from faceid_cli.backbone import BaseModel, memory_errors, ready_to_learn
from faceid_cli.errors import FaceIDError, InterruptedRunError
from faceid_cli.orders import TrainConfig
from faceid_cli.training.interrupt import deferred_interrupt
from faceid_cli.training.run import Lesson, OnPreview, Run
from faceid_cli.training.step import Stepper
from faceid_cli.types import FaceCrop, IdentityTokens, OnNote, StepReport, TrainReport

_RECENT_STEPS = 20

OnStep = Callable[[StepReport], None]


def train_identity(
    base: BaseModel,
    crops: Sequence[FaceCrop],
    config: TrainConfig,
    checkpoint_dir: Path | None = None,
    resume: bool = False,
    on_step: OnStep | None = None,
    preview_every: int = 0,
    on_preview: OnPreview | None = None,
    on_note: OnNote | None = None,
) -> tuple[IdentityTokens, TrainReport]:
    """Learn the tokens of the person in the crops.

    Equal inputs give equal tokens, byte for byte, on the CPU; so do runs that were interrupted and resumed, and runs
    with previews.

    Args:
        base: The base model; it is left as found.
        crops: Training crops of one person, of the base model's size.
        config: Settings; `device` and `precision` in it are those `base` was loaded with.
        checkpoint_dir: Where checkpoints go; without it none are written.
        resume: Go on from the checkpoint there.
        on_step: Called after each step.
        preview_every: Steps between previews; 0 for none.
        on_preview: Called between steps, before the first and after the last of them, too, when the model is as found.
        on_note: Called with a line worth telling the user.

    Raises:
        UsageError: Crops or settings that cannot work.
        CheckpointError: No checkpoint to resume, or one of another run.
        InterruptedRunError: Ctrl-C; a checkpoint was saved.
        OutOfMemoryError: The batch does not fit.
        FaceIDError: The loss is no longer a number.
    """
    lesson = Lesson(crops, config, checkpoint_dir, resume, preview_every, on_preview)
    with memory_errors(memory_hint(base, config)):
        run = Run(base, lesson)

        def failed(_: Run, error: FaceIDError) -> None:
            raise error

        train_runs([run], lambda _: None, failed, on_step, on_note)
    return run.tokens(), run.report()


def train_runs(
    runs: Sequence[Run],
    on_finished: Callable[[Run], None],
    on_failed: Callable[[Run, FaceIDError], None],
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
) -> None:
    """Do the steps of several runs together: each pass of the frozen networks takes the rows of all of them.

    Each ends with the tokens that it would end with alone, up to rounding. Runs that have fewer steps leave earlier;
    one that went astray leaves, and the others go on.

    Args:
        runs: On one base model, with equal `shared_settings`.
        on_finished: Called with each run as soon as it is finished, between steps, when the model is as found.
        on_failed: Called with a run that went astray, and with why.
        on_step: Called after each step, with where the run stands that has the most steps left.
        on_note: Called with a line worth telling the user.

    Raises:
        InterruptedRunError: Ctrl-C; checkpoints were saved.
        FaceIDError: What `on_finished` or `on_failed` raised.
        Exception: Too little memory, as the device words it: the runs stand where they stood, and can go on.
    """
    left = list(runs)
    while left:
        stepper = Stepper([each.engine for each in left], [each.state for each in left], on_note)
        try:
            while True:
                with _interruptible(left):
                    for place, each in enumerate(left):
                        if place not in stepper.astray:
                            each.preview()
                done = [each for each in left if each.is_finished]
                if done or stepper.astray:
                    break
                # How much memory a step needs, and so how the next ones are best done, is seen in the first.
                count = 1 if stepper.is_thrifty is None else min(each.steps_to_pause for each in left)
                _train(left, stepper, count, on_step)
        except KeyboardInterrupt:  # a second Ctrl-C, or one that could not be deferred
            raise _cut_short(left) from None
        finally:
            stepper.close()
        lost = {id(left[place]): error for place, error in stepper.astray.items()}
        ended, left = left, [each for each in left if not each.is_finished and id(each) not in lost]
        with _interruptible(left):
            for each in ended:
                if id(each) in lost:
                    on_failed(each, lost[id(each)])
                elif each.is_finished:
                    on_finished(each)


def _train(runs: Sequence[Run], stepper: Stepper, count: int, on_step: OnStep | None) -> None:
    """Do some steps, fewer where a run goes astray."""
    base, engine = stepper.engine.base, stepper.engine
    longest = max(runs, key=lambda each: each.config.steps - each.state.step)
    recent: deque[float] = deque(maxlen=_RECENT_STEPS)
    with ExitStack() as stack:
        stack.enter_context(ready_to_learn(base, stepper.is_thrifty is not False))
        stack.enter_context(
            split_attention(base.unet, engine.config.stages, base.text_window, base.num_train_timesteps)
        )
        record = stack.enter_context(record_attention(base.unet)) if engine.uses_reference else None
        interrupt = stack.enter_context(deferred_interrupt())
        for _ in range(count):
            started = time.perf_counter()
            stepper.step(record)
            recent.append(time.perf_counter() - started)
            for each in runs:
                each.state.seconds += recent[-1]
            if stepper.astray:
                return
            try:
                if on_step is not None:
                    on_step(_report(longest, recent, len(runs)))
            except KeyboardInterrupt:
                interrupt.raised = True
            if not interrupt.raised:
                for each in runs:
                    each.save_if_due()
            if interrupt.raised:
                raise _interrupted(runs)


@contextmanager
def _interruptible(runs: Sequence[Run]) -> Iterator[None]:
    """What is done between steps, where everything is whole and can be saved."""
    try:
        yield
    except KeyboardInterrupt:
        raise _interrupted(runs) from None


def memory_hint(base: BaseModel, config: TrainConfig) -> str:
    """The next smaller setting."""
    if config.batch_size > 1:
        return f"try --batch {max(config.batch_size // 2, 1)}, or --batch auto"
    if not base.low_vram:
        return "give --low-vram"
    if base.dtype == torch.float32:
        return "try --precision bfloat16"
    return "close other programs, or use a smaller base model, or --device cpu, which is slow"


def _report(run: Run, recent: Sequence[float], people: int) -> StepReport:
    seconds_per_step = sum(recent) / len(recent)
    reconstruction, attention = run.state.losses[-1]
    return StepReport(
        step=run.state.step,
        steps=run.config.steps,
        reconstruction=reconstruction,
        attention=attention,
        steps_per_second=1 / max(seconds_per_step, 1e-9),
        seconds_left=seconds_per_step * (run.config.steps - run.state.step),
        people=people,
    )


def _interrupted(runs: Sequence[Run]) -> InterruptedRunError:
    if len(runs) != 1:
        for run in runs:
            run.save()
        return InterruptedRunError("interrupted; checkpoints are saved", "the same command goes on where it stopped")
    (run,) = runs
    where = f"interrupted after step {run.state.step} of {run.config.steps}"
    path = run.save()
    if path is None:
        return InterruptedRunError(f"{where}; no checkpoint folder was given, so nothing is saved")
    return InterruptedRunError(
        f"{where}; checkpoint saved at {path}", "run the same command with --resume to go on from there"
    )


def _cut_short(runs: Sequence[Run]) -> InterruptedRunError:
    """Within a step module and optimiser may be out of step with each other: only an earlier checkpoint is sound."""
    if len(runs) != 1:
        return InterruptedRunError(
            "stopped within a step; earlier checkpoints stay", "the same command goes on from there"
        )
    (run,) = runs
    where = f"stopped within step {run.state.step + 1} of {run.config.steps}"
    if run.state.saved_at is None:
        return InterruptedRunError(f"{where}; nothing is saved")
    return InterruptedRunError(
        f"{where}; the last checkpoint is at {run.state.saved_at}",
        "run the same command with --resume to go on from there",
    )

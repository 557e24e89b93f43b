"""The training loop: steps, progress, checkpoints, Ctrl-C. What a step computes is in `engine`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from faceid_cli.attention import record_attention, split_attention
from faceid_cli.backbone import BaseModel, memory_errors, ready_to_learn
from faceid_cli.errors import InterruptedRunError
from faceid_cli.orders import TrainConfig
from faceid_cli.tokens import ENCODER, features_of
from faceid_cli.training.checkpoint import RunState, load_checkpoint, run_key, save_checkpoint
from faceid_cli.training.engine import Engine
from faceid_cli.training.interrupt import deferred_interrupt
from faceid_cli.training.step import Stepper
from faceid_cli.types import FaceCrop, IdentityTokens, OnNote, StepReport, TrainReport

_RECENT_STEPS = 20

OnPreview = Callable[[int, IdentityTokens], None]
"""Called with (steps done, the tokens that the run would end with then)."""


def train_identity(
    base: BaseModel,
    crops: Sequence[FaceCrop],
    config: TrainConfig,
    checkpoint_dir: Path | None = None,
    resume: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
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
    with memory_errors(_memory_hint(base, config)):
        engine = Engine(base, crops, config)
        config = engine.config
        with ready_to_learn(base):
            state = engine.new_state()
        key = run_key(base, crops, config)
        if resume:
            load_checkpoint(_folder_to_resume(checkpoint_dir), state, key)
        resumed_from = state.step
        stepper = Stepper(engine, state, on_note)
        try:
            while True:
                with _interruptible(state, config, checkpoint_dir, key):
                    if on_preview is not None and _preview_is_due(state, config, preview_every):
                        on_preview(state.step, _tokens_of(state, config))
                if _is_finished(state, config):
                    break
                # How much memory a step needs, and so how the next ones are best done, is seen in the first.
                until = state.step + 1 if stepper.is_thrifty is None else _next_pause(state.step, config, preview_every)
                _train(engine, stepper, state, checkpoint_dir, key, on_step, until)
        except KeyboardInterrupt:  # a second Ctrl-C, or one that could not be deferred
            raise _cut_short(state, config.steps) from None
        finally:
            stepper.close()
    return _tokens_of(state, config), TrainReport(tuple(state.losses), state.seconds, resumed_from)


def _train(
    engine: Engine,
    stepper: Stepper,
    state: RunState,
    checkpoint_dir: Path | None,
    key: dict[str, Any],
    on_step: Callable[[StepReport], None] | None,
    until: int,
) -> None:
    """Train up to and with step `until`."""
    config, base = engine.config, engine.base
    recent: deque[float] = deque(maxlen=_RECENT_STEPS)
    with ExitStack() as stack:
        stack.enter_context(ready_to_learn(base, stepper.is_thrifty is not False))
        stack.enter_context(split_attention(base.unet, config.stages, base.text_window, base.num_train_timesteps))
        record = stack.enter_context(record_attention(base.unet)) if engine.uses_reference else None
        interrupt = stack.enter_context(deferred_interrupt())
        while state.step < until:
            started = time.perf_counter()
            stepper.step(record)
            recent.append(time.perf_counter() - started)
            state.seconds += recent[-1]
            try:
                if on_step is not None:
                    on_step(_report(state, config, recent))
            except KeyboardInterrupt:
                interrupt.raised = True
            if interrupt.raised:
                raise _interrupted(state, checkpoint_dir, key, config.steps)
            if checkpoint_dir is not None and config.checkpoint_every and _is_due(state.step, config):
                save_checkpoint(checkpoint_dir, state, key)


def _is_finished(state: RunState, config: TrainConfig) -> bool:
    return state.step >= config.steps


def _preview_is_due(state: RunState, config: TrainConfig, every: int) -> bool:
    return every > 0 and (state.step % every == 0 or _is_finished(state, config))


def _next_pause(step: int, config: TrainConfig, preview_every: int) -> int:
    """The step after which the next preview is due, or the last."""
    return min((step // preview_every + 1) * preview_every, config.steps) if preview_every > 0 else config.steps


@contextmanager
def _interruptible(
    state: RunState, config: TrainConfig, checkpoint_dir: Path | None, key: dict[str, Any]
) -> Iterator[None]:
    """What is done between steps, where everything is whole and can be saved."""
    try:
        yield
    except KeyboardInterrupt:
        raise _interrupted(state, checkpoint_dir, key, config.steps) from None


def _memory_hint(base: BaseModel, config: TrainConfig) -> str:
    """The next smaller setting."""
    if config.batch_size > 1:
        return f"try --batch {max(config.batch_size // 2, 1)}, or --batch auto"
    if not base.low_vram:
        return "give --low-vram"
    if base.dtype == torch.float32:
        return "try --precision bfloat16"
    return "close other programs, or use a smaller base model, or --device cpu, which is slow"


def _is_due(step: int, config: TrainConfig) -> bool:
    return step % config.checkpoint_every == 0 or step == config.steps


def _report(state: RunState, config: TrainConfig, recent: Sequence[float]) -> StepReport:
    seconds_per_step = sum(recent) / len(recent)
    reconstruction, attention = state.losses[-1]
    return StepReport(
        step=state.step,
        steps=config.steps,
        reconstruction=reconstruction,
        attention=attention,
        steps_per_second=1 / max(seconds_per_step, 1e-9),
        seconds_left=seconds_per_step * (config.steps - state.step),
    )


def _folder_to_resume(checkpoint_dir: Path | None) -> Path:
    if checkpoint_dir is None:
        raise ValueError("resume needs a checkpoint_dir")
    return checkpoint_dir


def _interrupted(state: RunState, checkpoint_dir: Path | None, key: dict[str, Any], steps: int) -> InterruptedRunError:
    where = f"interrupted after step {state.step} of {steps}"
    if checkpoint_dir is None:
        return InterruptedRunError(f"{where}; no checkpoint folder was given, so nothing is saved")
    path = save_checkpoint(checkpoint_dir, state, key)
    return InterruptedRunError(
        f"{where}; checkpoint saved at {path}", "run the same command with --resume to go on from there"
    )


def _cut_short(state: RunState, steps: int) -> InterruptedRunError:
    """Within a step module and optimiser may be out of step with each other: only an earlier checkpoint is sound."""
    where = f"stopped within step {state.step + 1} of {steps}"
    if state.saved_at is None:
        return InterruptedRunError(f"{where}; nothing is saved")
    return InterruptedRunError(
        f"{where}; the last checkpoint is at {state.saved_at}", "run the same command with --resume to go on from there"
    )


def _tokens_of(state: RunState, config: TrainConfig) -> IdentityTokens:
    """The tokens that the run would end with now; after the last step, those that it ends with."""
    tokens = _current_tokens(state, config)
    if not state.sums:
        return tokens
    count = state.step - max(config.steps - config.average_last, 0)
    keys = {name: (state.sums[f"{name}.keys"] / count).float() for name in tokens.keys}
    values = {name: (state.sums[f"{name}.values"] / count).float() for name in tokens.values}
    return IdentityTokens(keys, values, config.class_word)


def _current_tokens(state: RunState, config: TrainConfig) -> IdentityTokens:
    keys, values = {}, {}
    with torch.no_grad():
        for name, sides in features_of(state.module, ENCODER).items():
            keys[name], values[name] = (side.detach().float().cpu().contiguous().clone() for side in sides)
    return IdentityTokens(keys, values, config.class_word)

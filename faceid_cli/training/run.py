"""One person's run on its way: what it is to do, where it stands, and what it ends with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from faceid_cli.backbone import BaseModel, ready_to_learn
from faceid_cli.orders import TrainConfig
from faceid_cli.tokens import ENCODER, features_of
from faceid_cli.training.checkpoint import RunState, load_checkpoint, run_key, save_checkpoint
from faceid_cli.training.engine import Engine
from faceid_cli.types import FaceCrop, IdentityTokens, TrainReport

OnPreview = Callable[[int, IdentityTokens], None]
"""Called with (steps done, the tokens that the run would end with then)."""


@dataclass(frozen=True)
class Lesson:
    """What is to be learned of one person.

    Attributes:
        crops: Training crops of the person, of the base model's size.
        config: Settings.
        checkpoint_dir: Where checkpoints go; without it none are written.
        resume: Go on from the checkpoint there.
        preview_every: Steps between previews; 0 for none.
        on_preview: Called between steps, before the first and after the last of them, too.
    """

    crops: Sequence[FaceCrop]
    config: TrainConfig
    checkpoint_dir: Path | None = None
    resume: bool = False
    preview_every: int = 0
    on_preview: OnPreview | None = None


class Run:
    """A lesson that has been begun.

    Args:
        base: The base model.
        lesson: What is learned.
        known: Sentences that other people's runs on this base model have encoded, see `Engine`.

    Attributes:
        engine: Computes its losses.
        state: Where it stands.
        resumed_from: Steps that were done before.

    Raises:
        UsageError: Crops or settings that cannot work.
        CheckpointError: No checkpoint to resume, or one of another run.
    """

    def __init__(self, base: BaseModel, lesson: Lesson, known: dict[tuple[Any, ...], Any] | None = None) -> None:
        self.lesson = lesson
        self.engine = Engine(base, lesson.crops, lesson.config, known)
        with ready_to_learn(base):
            self.state = self.engine.new_state()
        self._key = run_key(base, lesson.crops, self.config)
        if lesson.resume:
            load_checkpoint(_folder_to_resume(lesson.checkpoint_dir), self.state, self._key)
        self.resumed_from = self.state.step

    @property
    def config(self) -> TrainConfig:
        """Its settings, settled."""
        return self.engine.config

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done."""
        return self.state.step >= self.config.steps

    @property
    def steps_to_pause(self) -> int:
        """Steps until the next preview is due, or to the last."""
        step, every = self.state.step, self.lesson.preview_every
        return (min((step // every + 1) * every, self.config.steps) if every > 0 else self.config.steps) - step

    def preview(self) -> None:
        """Hand out the tokens, if that is due."""
        every, on_preview = self.lesson.preview_every, self.lesson.on_preview
        if on_preview is not None and every > 0 and (self.state.step % every == 0 or self.is_finished):
            on_preview(self.state.step, self.tokens())

    def save_if_due(self) -> None:
        """Write a checkpoint where one is due after this step."""
        every = self.config.checkpoint_every
        if every and (self.state.step % every == 0 or self.is_finished):
            self.save()

    def save(self) -> Path | None:
        """Write a checkpoint; None where none are kept."""
        folder = self.lesson.checkpoint_dir
        return None if folder is None else save_checkpoint(folder, self.state, self._key)

    def tokens(self) -> IdentityTokens:
        """The tokens that the run would end with now; after the last step, those that it ends with."""
        return tokens_of(self.state, self.config)

    def report(self) -> TrainReport:
        """How it went."""
        return TrainReport(tuple(self.state.losses), self.state.seconds, self.resumed_from)


def tokens_of(state: RunState, config: TrainConfig) -> IdentityTokens:
    """The tokens that a run ends with if it ends where it stands.

    Args:
        state: Where it stands.
        config: Its settings, settled.
    """
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


def _folder_to_resume(checkpoint_dir: Path | None) -> Path:
    if checkpoint_dir is None:
        raise ValueError("resume needs a checkpoint_dir")
    return checkpoint_dir

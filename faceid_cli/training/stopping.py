"""When to stop before the last step, and which step's tokens to keep.

Between steps, every so often, the tokens are looked at: by their loss on noise that training never draws, or by
pictures rendered with them. The best of what was seen is kept. Both ways depend on settings and seeds alone.

Shapes: P pictures, C x h x w a latent picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from faceid_cli.attention import split_attention
from faceid_cli.config import TrainConfig
from faceid_cli.errors import UsageError
from faceid_cli.tokens import TokenModule, TokenModules
from faceid_cli.training.data import Batch, face_weights
from faceid_cli.training.engine import Engine
from faceid_cli.types import IdentityTokens, Look

RenderScores = Callable[[IdentityTokens], tuple[float, float | None]]
"""Renders with some tokens; returns identity and prompt score (None where the prompt cannot be judged)."""

HELD_OUT_ROWS = 16
FLAT = 0.01
"""Identity is flat where it rises by no more than this cosine."""


class Watch:
    """Looks at the tokens in the way that the settings say.

    Args:
        engine: Of the run.
        render_scores: Needed for `stop_by` "renders".

    Raises:
        UsageError: It is needed and missing.
    """

    def __init__(self, engine: Engine, render_scores: RenderScores | None = None) -> None:
        self.engine, self._config, self._render_scores = engine, engine.config, render_scores
        if self._config.stop_by == "renders" and render_scores is None:
            raise UsageError(
                "to stop by renders, something must score them", "use stop_by held-out, or `faceid enroll`"
            )
        self._batches = held_out_batches(engine) if self._config.stop_by == "held-out" else []
        self._weights = face_weights(engine.crops, engine.latents, self._config.mirror)

    def is_due(self, step: int, looks: Sequence[Look]) -> bool:
        """Whether to look after a step: every so often, after the last one, and never twice."""
        if self._config.stop_by == "steps" or step == 0 or (looks and looks[-1].step >= step):
            return False
        return step % self._config.look_every == 0 or step >= self._config.steps

    def look(self, step: int, module: TokenModule | TokenModules, tokens: IdentityTokens) -> Look:
        """Look at the tokens after a step; they are what the module gives."""
        if self._render_scores is not None and self._config.stop_by == "renders":
            return Look(step, *self._render_scores(tokens))
        return Look(step, -self._held_out_loss(module))

    def _held_out_loss(self, module: TokenModule | TokenModules) -> float:
        base, losses = self.engine.base, []
        with (
            torch.no_grad(),
            split_attention(base.unet, self._config.stages, base.text_window, base.num_train_timesteps),
        ):
            for batch in self._batches:
                losses.append(float(self.engine.losses(module, batch, None, self._weights).reconstruction))
        return sum(losses) / len(losses)


def held_out_batches(engine: Engine) -> list[Batch]:
    """Pictures, sentences, timesteps and noise to look with: always the same, of a stream that training never draws."""
    size = engine.config.batch_size
    draws = engine.new_draws("held-out ", "uniform")
    return [draws.draw(size) for _ in range(-(-HELD_OUT_ROWS // size))]


def best_look(looks: Sequence[Look]) -> Look:
    """The look to keep: the highest score, or with a prompt score the highest product of both.

    No look has both a higher identity and a higher prompt score than that one. Of equal ones it is the first.

    Raises:
        ValueError: No looks.
    """
    if not looks:
        raise ValueError("nothing was looked at")
    return max(looks, key=_value)


def _value(look: Look) -> float:
    return look.score if look.prompt is None else max(look.score, 0.0) * look.prompt


def should_stop(looks: Sequence[Look], config: TrainConfig) -> bool:
    """Whether to stop after these looks.

    By held-out noise: the best look is `patience` looks ago. By renders: over the last `patience` looks identity is
    flat, and the prompt score is on average below its best before them (where it cannot be judged, flat is enough).
    """
    if config.stop_by == "steps" or len(looks) <= config.patience:
        return False
    before, recent = looks[: -config.patience], looks[-config.patience :]
    if config.stop_by == "held-out":
        return max(look.score for look in recent) <= max(look.score for look in before)
    if max(look.score for look in recent) > max(look.score for look in before) + FLAT:
        return False
    prompts = [look.prompt for look in recent if look.prompt is not None]
    earlier = [look.prompt for look in before if look.prompt is not None]
    return not prompts or not earlier or sum(prompts) / len(prompts) < max(earlier)


def kept_tokens(best: Mapping[str, Tensor], class_word: str) -> IdentityTokens:
    """Tokens of what `flat_tokens` returned."""
    encoders = [name.removesuffix(".keys") for name in best if name.endswith(".keys")]
    return IdentityTokens(
        {name: best[f"{name}.keys"] for name in encoders},
        {name: best[f"{name}.values"] for name in encoders},
        class_word,
    )


def flat_tokens(tokens: IdentityTokens) -> dict[str, Tensor]:
    """Tokens as one tensor by "<text encoder>.keys" and "<text encoder>.values", as checkpoints keep them."""
    sides = {"keys": tokens.keys, "values": tokens.values}
    return {f"{encoder}.{side}": tensor for side, found in sides.items() for encoder, tensor in found.items()}

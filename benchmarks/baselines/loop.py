"""One training loop for all baselines, around the losses of faceid's own engine: same noise, same timesteps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack

import torch
from torch import Tensor, nn

from faceid_cli.attention import record_attention, split_attention
from faceid_cli.tokens import ENCODER, FeatureSource, features_of
from faceid_cli.training.engine import WEIGHT_DECAY, Engine
from faceid_cli.types import IdentityTokens


def fit(
    engine: Engine,
    module: FeatureSource,
    parameters: Iterable[Tensor],
    *,
    with_attention: bool = False,
    more_loss: Callable[[], Tensor] | None = None,
    context: AbstractContextManager[None] | None = None,
    most_gradient: float | None = None,
) -> tuple[tuple[float, ...], float]:
    """Train parameters on an engine's losses.

    Args:
        engine: Gives the losses of a batch; its `config` has steps, batch size and learning rate.
        module: Gives the features (P^K, P^V) when called; may hold parameters or not.
        parameters: What is trained: of the module, of the UNet, or both.
        with_attention: Whether to add the engine's attention loss, times its weight.
        more_loss: Added to each step's loss, for instance the prior's.
        context: In which the UNet runs; by default the split into keys and values.
        most_gradient: Norm that the gradient is clipped to; None for no limit.

    Returns:
        The losses of the steps, and the seconds that they took.
    """
    base, config = engine.base, engine.config
    trained = list(parameters)
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=WEIGHT_DECAY)
    draws, losses = engine.new_draws(), []
    started = time.perf_counter()
    with ExitStack() as stack:
        stack.enter_context(
            context or split_attention(base.unet, config.stages, base.text_window, base.num_train_timesteps)
        )
        record = stack.enter_context(record_attention(base.unet)) if with_attention else None
        for _ in range(config.steps):
            total = engine.losses(module, draws.draw(config.batch_size), record).total(config)
            if more_loss is not None:
                total = total + more_loss()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(total)
            if most_gradient is not None:
                torch.nn.utils.clip_grad_norm_(trained, most_gradient)
            optimizer.step()
            losses.append(float(total.detach()))
            if record is not None:
                record.clear()
    return tuple(losses), time.perf_counter() - started


class FixedTokens(nn.Module):
    """Known words, or known words with a learned one before them, as one stage of features with K and V alike.

    Args:
        fixed: (N, D) embeddings that stay.
        learned: (M, D) initial embeddings that are trained and stand before the fixed ones; None for none.
    """

    fixed: Tensor

    def __init__(self, fixed: Tensor, learned: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("fixed", fixed.detach().clone())
        self.learned = None if learned is None else nn.Parameter(learned.detach().clone())

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return the same (1, N, D) tensor twice."""
        features = self.fixed if self.learned is None else torch.cat([self.learned, self.fixed])
        return features.unsqueeze(0), features.unsqueeze(0)


def tokens_of(module: FeatureSource) -> IdentityTokens:
    """What a module has learned, as tokens that faceid renders."""
    with torch.no_grad():
        keys, values = (side.detach().float().cpu().clone() for side in features_of(module, ENCODER)[ENCODER])
    return IdentityTokens({ENCODER: keys}, {ENCODER: values})

"""Where to start from: a word that the text encoder already knows and that explains the photos better than the class.

A name or a word near the person saves steps. Words are ranked by the gradient of the reconstruction loss at the class
word, which costs a few passes however large the vocabulary is; the best of them are then tried out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from faceid_cli.attention import split_attention
from faceid_cli.backbone import BaseModel
from faceid_cli.config import TrainConfig, paced
from faceid_cli.tokens import EmbeddingSpace, class_embedding
from faceid_cli.training.data import Batch
from faceid_cli.training.regression import knows_names, names_space, regressed_initial, shows_face
from faceid_cli.types import FaceCrop

if TYPE_CHECKING:
    from faceid_cli.training.engine import Engine

_BATCHES, _TRIED = 4, 24
_WORD = re.compile(r"[a-z]{3,}</w>")


def settled(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> TrainConfig:
    """Return settings in which what was "auto" is said, and the pace, too; what is said already stays.

    Args:
        base: The base model.
        crops: What is learned from.
        config: Settings.
    """
    initial, space = config.initial_token, config.token_space
    if initial == "auto":
        initial = "regression" if knows_names(base) and shows_face(crops) else "class"
    if space == "auto":
        space = "names" if initial == "regression" else "embeddings"
    photos = len({crop.photo_sha256 for crop in crops})
    return paced(replace(config, initial_token=initial, token_space=space), photos)


def initial_embeddings(engine: Engine) -> dict[str, Tensor]:
    """Return what the features start from for each text encoder, (D,), as the settings say; empty for the class word.

    Raises:
        UsageError: A way that does not work with this base model or these photos.
    """
    chosen = engine.config.initial_token
    if chosen == "search":
        return search_initial(engine)
    if chosen == "regression":
        return regressed_initial(engine.base, engine.crops)
    return {}


def space_of(engine: Engine) -> EmbeddingSpace | None:
    """Return where the features stay, as the settings say; None for anywhere.

    Raises:
        UsageError: A space that this base model has not.
    """
    return names_space(engine.base) if engine.config.token_space == "names" else None


def search_initial(engine: Engine) -> dict[str, Tensor]:
    """Return the embedding to start from for each text encoder, (D,): that of a known word, or the class word's.

    Deterministic: the noise and timesteps that words are compared on are the first that training would draw.
    """
    base, config = engine.base, engine.config
    start = {encoder.name: class_embedding(base, config.class_word, encoder) for encoder in base.encoders}
    draws = engine.new_draws()
    batches = [draws.draw(config.batch_size) for _ in range(_BATCHES)]
    with split_attention(base.unet, config.stages, base.text_window, base.num_train_timesteps):
        tried = [start, *(_embeddings(engine, word) for word in _most_promising(engine, start, batches))]
        losses = [_loss(engine, each, batches) for each in tried]
    return tried[losses.index(min(losses))]


def _most_promising(engine: Engine, start: dict[str, Tensor], batches: Sequence[Batch]) -> list[int]:
    """Token ids of words whose embedding lies furthest down the loss's slope at the class word."""
    modules = engine.token_modules(start, plain=True)
    for batch in batches:
        engine.losses(modules, batch, None)[0].backward()
    words = _words(engine)
    gain = torch.zeros(len(words))
    for encoder, (name, initial) in zip(engine.base.encoders, start.items(), strict=True):
        slope = _slope(modules, name).cpu()
        table = encoder.module.get_input_embeddings().weight[words].detach().float().cpu()
        away = table - initial.cpu()
        # Per unit of length: the slope says nothing about how far it holds.
        gain -= away @ slope / away.norm(dim=1).clamp_min(1e-6)
    best = torch.argsort(gain, descending=True, stable=True)[:_TRIED].tolist()
    return [words[index] for index in best]


def _slope(modules: torch.nn.Module, encoder: str) -> Tensor:
    """Gradient summed over all features of a text encoder, (D,)."""
    grads = [
        parameter.grad.sum(dim=0)
        for name, parameter in modules.named_parameters()
        if parameter.grad is not None and (name == "embeddings" or name == f"encoders.{encoder}.embeddings")
    ]
    return torch.stack(grads).sum(dim=0)


def _words(engine: Engine) -> list[int]:
    """Token ids that are whole words, in order; the same in all text encoders of a family."""
    vocabulary = engine.base.tokenizer.get_vocab()
    return sorted(index for token, index in vocabulary.items() if _WORD.fullmatch(token))


def _embeddings(engine: Engine, token: int) -> dict[str, Tensor]:
    return {
        encoder.name: encoder.module.get_input_embeddings().weight[token].detach().float()
        for encoder in engine.base.encoders
    }


def _loss(engine: Engine, initial: dict[str, Tensor], batches: Sequence[Batch]) -> float:
    modules = engine.token_modules(initial, plain=True)
    with torch.no_grad():
        return sum(float(engine.losses(modules, batch, None)[0]) for batch in batches)

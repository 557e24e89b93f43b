"""Methods that change the UNet: DreamBooth with LoRA, and Custom Diffusion, as diffusers' example scripts have them.

Both know the person by a word that the text encoder hardly knows, before the class word ("sks person"). Both may keep
the class in mind by pictures of it that the base model draws itself (prior preservation).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor

from benchmarks.baselines.interface import Learned, Settings
from benchmarks.baselines.loop import FixedTokens, fit, tokens_of
from benchmarks.baselines.tokens import START, train_config
from faceid_cli.attention import cross_attention_layers
from faceid_cli.backbone import BaseModel
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import class_word_ids
from faceid_cli.training.engine import Engine
from faceid_cli.types import FaceCrop

_ADAPTER = "dreambooth"
_MOST_GRADIENT = 1.0  # the scripts' --max_grad_norm
_LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


class DreamBoothLora:
    """DreamBooth (arXiv 2208.12242) with LoRA on all attention projections of the UNet."""

    name = "DreamBooth LoRA"
    defaults = replace(START, learning_rate=1e-4, options={"rank": 4, "prior_weight": 0.0, "prior_pictures": 8})
    grid: tuple[Mapping[str, Any], ...] = (
        {"learning_rate": 5e-4},
        {"learning_rate": 2e-3},
        {"steps": 300},
        {"steps": 75},
        {"steps": 600},
        {"rank": 16},
        {"prior_weight": 1.0},
    )

    def learn(self, base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
        """See `Method`."""
        options, started = dict(settings.options), time.perf_counter()
        rank = int(options.pop("rank", 4))
        engine, more_loss = _engine_and_prior(base, crops, settings, options)
        module = FixedTokens(torch.cat([rare_word(base), class_words(base, settings.class_word)]))
        config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(_LORA_TARGETS))
        with torch.random.fork_rng():  # peft draws the first matrices from the global generator
            torch.manual_seed(settings.seed)
            base.unet.add_adapter(config, adapter_name=_ADAPTER)
        try:
            trained = [weight for name, weight in base.unet.named_parameters() if f".{_ADAPTER}." in name]
            losses, _ = fit(engine, module, trained, more_loss=more_loss, most_gradient=_MOST_GRADIENT)
            with torch.no_grad():
                changes = {
                    f"{name}.weight": layer.get_delta_weight(_ADAPTER).clone()
                    for name, layer in base.unet.named_modules()
                    if isinstance(layer, LoraLinear)
                }
            count = sum(weight.numel() for weight in trained)
        finally:
            base.unet.unload_lora()
            base.unet.requires_grad_(False)
        return Learned(
            tokens_of(module), losses, time.perf_counter() - started, count, lambda prompt: added(base.unet, changes)
        )


class CustomDiffusion:
    """Custom Diffusion (arXiv 2212.04488): the cross-attention's key and value weights, and a word before the class."""

    name = "Custom Diffusion"
    defaults = replace(START, learning_rate=1e-4, options={"prior_weight": 0.0, "prior_pictures": 8})
    grid: tuple[Mapping[str, Any], ...] = (
        {"learning_rate": 5e-4},
        {"learning_rate": 2e-3},
        {"steps": 300},
        {"steps": 75},
        {"steps": 600},
        {"prior_weight": 1.0},
    )

    def learn(self, base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
        """See `Method`."""
        options, started = dict(settings.options), time.perf_counter()
        engine, more_loss = _engine_and_prior(base, crops, settings, options)
        module = FixedTokens(class_words(base, settings.class_word), rare_word(base))
        weights = {
            f"{name}.{side}.weight": getattr(layer, side).weight
            for name, layer in cross_attention_layers(base.unet).items()
            for side in ("to_k", "to_v")
        }
        before = {name: weight.detach().clone() for name, weight in weights.items()}
        try:
            for weight in weights.values():
                weight.requires_grad_(True)
            trained = [*module.parameters(), *weights.values()]
            losses, _ = fit(engine, module, trained, more_loss=more_loss, most_gradient=_MOST_GRADIENT)
            with torch.no_grad():
                changes = {name: weight.detach() - before[name] for name, weight in weights.items()}
        finally:
            for name, weight in weights.items():
                weight.requires_grad_(False)
                weight.grad = None
                weight.data.copy_(before[name])
        count = sum(each.numel() for each in trained)
        return Learned(
            tokens_of(module), losses, time.perf_counter() - started, count, lambda prompt: added(base.unet, changes)
        )


@contextmanager
def added(unet: Any, changes: Mapping[str, Tensor]) -> Iterator[None]:
    """Add to some weights of a UNet while the context lasts; afterwards they are what they were, bit for bit."""
    weights = dict(unet.named_parameters())
    before = {name: weights[name].detach().clone() for name in changes}
    try:
        with torch.no_grad():
            for name, change in changes.items():
                weights[name].add_(change)
        yield
    finally:
        with torch.no_grad():
            for name, weight in before.items():
                weights[name].copy_(weight)


def rare_word(base: BaseModel) -> Tensor:
    """Embedding (1, D) of "sks" where that is one token, else of the last lone sign that is no letter of English."""
    tokenizer = base.tokenizer
    table: Tensor = base.text_encoder.get_input_embeddings().weight
    ids = tokenizer("sks", add_special_tokens=False).input_ids
    if len(ids) != 1:
        signs = [index for token, index in tokenizer.get_vocab().items() if not token[0].isascii() and len(token) == 5]
        others = [index for token, index in tokenizer.get_vocab().items() if len(token) == 5 and not token[0].isalnum()]
        ids = [max(signs or others)]
    return table[ids].detach().float()


def class_words(base: BaseModel, class_word: str) -> Tensor:
    """Embeddings of the class word's tokens, (N, D)."""
    table: Tensor = base.text_encoder.get_input_embeddings().weight
    return table[list(class_word_ids(base, class_word))].detach().float()


def _engine_and_prior(
    base: BaseModel, crops: Sequence[FaceCrop], settings: Settings, options: dict[str, Any]
) -> tuple[Engine, Callable[[], Tensor] | None]:
    """The engine of the person's photos, and the prior's loss of a batch, or None for no prior preservation."""
    weight, count = float(options.pop("prior_weight", 0.0)), int(options.pop("prior_pictures", 8))
    words = len(class_words(base, settings.class_word))
    config = train_config(replace(settings, options={**options, "vectors": 1 + words}))
    engine = Engine(base, crops, config)
    if weight == 0:
        return engine, None
    prior = Engine(base, _class_pictures(base, settings.class_word, count), replace(config, vectors=words))
    module, draws = FixedTokens(class_words(base, settings.class_word)), prior.new_draws()
    return engine, lambda: weight * prior.losses(module, draws.draw(config.batch_size), None)[0]


def _class_pictures(base: BaseModel, class_word: str, count: int) -> list[FaceCrop]:
    pictures = render(base, f"a photo of the face of {class_word}", {}, list(range(count)), RenderConfig())
    return [FaceCrop(each.image, None, f"prior {place}", Path(f"{place}.png")) for place, each in enumerate(pictures)]

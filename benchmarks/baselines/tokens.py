"""Methods that learn tokens alone: Textual Inversion, ProSpect, this method, and Textual Inversion kept in place.

The first three are faceid's own engine by its presets. The others add to Textual Inversion what keeps it on the face: a
mask on the reconstruction loss, a mask for the attention, or a token of its own for each cross-attention layer (XTI).

Shapes: L cross-attention layers, B rows, T text positions, C width of the encoded text, D width of embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.baselines.interface import Learned, Settings
from benchmarks.baselines.loop import fit, tokens_of
from faceid_cli.attention import AttentionRecord, cross_attention_layers
from faceid_cli.attention.record import attention_probabilities
from faceid_cli.backbone import BaseModel
from faceid_cli.orders import TrainConfig, preset
from faceid_cli.tokens import (
    ENCODER,
    EncoderRows,
    FeatureSource,
    class_embedding,
    encode_prompt,
    encode_rows,
    features_of,
)
from faceid_cli.training import train_identity
from faceid_cli.training.data import Batch
from faceid_cli.training.engine import Engine
from faceid_cli.training.sentences import Sentences
from faceid_cli.types import FaceCrop, IdentityTokens

START = Settings(steps=150)
"""Where the search for settings starts: half the usual length, so that quick methods are not made slow."""

PACES: tuple[Mapping[str, Any], ...] = (
    {"learning_rate": 2e-3},
    {"learning_rate": 1e-2},
    {"steps": 300},
    {"steps": 75},
    {"steps": 600},
)
"""Lengths and paces that every method of tokens alone is tried with: none gets a finer search than another."""


class Preset:
    """A preset of faceid, by faceid's own training.

    Args:
        name: In tables.
        preset_name: One of `config.PRESETS`.
        defaults: Where the search for settings starts.
        grid: Changes that are tried.
    """

    def __init__(self, name: str, preset_name: str, defaults: Settings, grid: tuple[Mapping[str, Any], ...]) -> None:
        self.name, self.preset, self.defaults, self.grid = name, preset_name, defaults, grid

    def learn(self, base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
        """See `Method`."""
        config = train_config(settings, self.preset)
        tokens, report = train_identity(base, crops, config)
        kept = 2 if config.split_keys_values else 1
        count = kept * tokens.keys[ENCODER].numel()
        losses = tuple(first + config.attention_weight * second for first, second in report.losses)
        return Learned(tokens, losses, report.seconds, count)


def train_config(settings: Settings, preset_name: str = "textual-inversion") -> TrainConfig:
    """A preset with the settings of a run; nothing is averaged over steps where they do not say so."""
    return preset(
        preset_name,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        seed=settings.seed,
        class_word=settings.class_word,
        **{"average_last": 0, **settings.options},
    )


def engine_settings(method: object, settings: Settings) -> dict[str, Any]:
    """All settings that faceid's engine trains a method with, as far as they differ from the paper's recipe.

    They belong to the key of a result: one that was measured before a default was changed is not taken for a new one.
    The recipe stays as it is, so an option that is added later, and off there, leaves all results valid.
    """
    known = {field.name for field in fields(TrainConfig)}
    options = {name: value for name, value in settings.options.items() if name in known}
    name = method.preset if isinstance(method, Preset) else "textual-inversion"
    found, recipe = asdict(train_config(_with(settings, options), name)), asdict(preset("sefi-paper"))
    without = ("device", "precision", "checkpoint_every", "capture")
    return {key: value for key, value in found.items() if key not in without and value != recipe[key]}


def face_masks(crops: Sequence[FaceCrop], height: int, width: int, margin: float = 0.25) -> Tensor:
    """Where the face is, hair included by a margin: (P, height, width) of 0 and 1; all 1 where no face is known."""
    masks = torch.ones(len(crops), height, width)
    for mask, crop in zip(masks, crops, strict=True):
        if crop.face is None:
            continue
        box, across, down = crop.face.box, width / crop.image.width, height / crop.image.height
        more_x, more_y = margin * box.width, margin * box.height
        inside = torch.zeros_like(mask)
        rows = slice(max(round((box.y - more_y) * down), 0), round((box.y + box.height + more_y) * down) or 1)
        columns = slice(max(round((box.x - more_x) * across), 0), round((box.x + box.width + more_x) * across) or 1)
        inside[rows, columns] = 1
        mask.copy_(inside)
    return masks


class MaskedReconstruction:
    """Textual Inversion whose reconstruction loss counts inside the face (and `outside` times as much elsewhere)."""

    name = "masked loss"
    defaults = replace(START, options={"outside": 0.05})
    grid: tuple[Mapping[str, Any], ...] = (*PACES, {"outside": 0.0})

    def learn(self, base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
        """See `Method`."""
        options = dict(settings.options)
        outside = float(options.pop("outside", 0.05))
        engine = Engine(base, crops, train_config(_with(settings, options)))
        masks = face_masks(crops, *engine.latents.shape[-2:]).unsqueeze(1).to(base.device)
        engine.weights = masks + outside * (1 - masks)
        module = engine.new_state().module
        losses, seconds = fit(engine, module, module.parameters())
        tokens = tokens_of(module)
        return Learned(tokens, losses, seconds, tokens.keys[ENCODER].numel())


class MaskedAttentionEngine(Engine):
    """An engine whose attention loss asks the placeholder to look at the face: how much of it falls outside."""

    def __init__(self, base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> None:
        super().__init__(base, crops, config)
        self._crops = list(crops)

    def attention_loss(self, record: AttentionRecord, sentences: Sentences, batch: Batch) -> Tensor:
        """Mean share of the placeholder's attention outside the face, 0 to 1, over rows, heads and layers."""
        losses = []
        for layer, queries in record.queries.items():
            found = attention_probabilities(queries.detach(), record.keys[layer], record.scales[layer])
            inside = face_masks(self._crops, *record.shapes[layer]).flatten(1)[batch.pictures].to(found.device)
            for row, positions in enumerate(sentences.positions):
                word = found[row, :, :, positions].sum(-1)  # (M, pixels)
                share = (word * inside[row]).sum(-1) / word.sum(-1).clamp_min(1e-9)
                losses.append(1 - share.mean())
        return torch.stack(losses).mean()


class MaskedAttention:
    """Textual Inversion whose token is asked, by the face's mask, to look at the face."""

    name = "masked attention"
    defaults = replace(START, options={"attention_weight": 0.01})
    grid: tuple[Mapping[str, Any], ...] = (*PACES, {"attention_weight": 0.1}, {"attention_weight": 0.001})

    def learn(self, base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
        """See `Method`."""
        engine = MaskedAttentionEngine(base, crops, train_config(settings))
        module = engine.new_state().module
        losses, seconds = fit(engine, module, module.parameters(), with_attention=True)
        tokens = tokens_of(module)
        return Learned(tokens, losses, seconds, tokens.keys[ENCODER].numel())


class LayerTokens(nn.Module):
    """One token for each cross-attention layer, (L, 1, D), from the class word's embedding."""

    def __init__(self, initial: Tensor, layers: int) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(initial.detach().repeat(layers, 1, 1))

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return the tokens twice, as every token module does."""
        return self.embeddings, self.embeddings


class LayerEngine(Engine):
    """An engine that gives every cross-attention layer its own encoding of the sentence."""

    def __init__(self, base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> None:
        super().__init__(base, crops, config)
        self.contexts: dict[str, Tensor] = {}

    def prediction(self, module: FeatureSource, sentences: Sentences, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """See `Engine.prediction`; inside `own_contexts` of the UNet."""
        tokens, _ = features_of(module, ENCODER)[ENCODER]  # (L, 1, D)
        self.contexts.update(self._encode(tokens, sentences))
        anything = next(iter(self.contexts.values()))
        prediction: Tensor = self.base.unet(noisy.to(self.base.dtype), timesteps, encoder_hidden_states=anything).sample
        return prediction

    def _encode(self, tokens: Tensor, sentences: Sentences) -> dict[str, Tensor]:
        """Each layer's (B, T, C)."""
        layers, count = list(cross_attention_layers(self.base.unet)), len(sentences)
        rows = EncoderRows(
            sentences.ids[ENCODER].repeat(len(layers), 1),
            sentences.mask.repeat(len(layers), 1),
            torch.arange(len(layers) * count, device=tokens.device),
            sentences.positions.flatten().repeat(len(layers)),
            tokens[:, 0].repeat_interleave(count, dim=0),
        )
        encoded = encode_rows(self.base, {ENCODER: rows}).hidden
        return dict(zip(layers, torch.split(encoded, count), strict=True))


@contextmanager
def own_contexts(unet: nn.Module, contexts: Mapping[str, Tensor], only_last: bool = False) -> Iterator[None]:
    """Let every cross-attention layer see its own text (B, T, C) while the context lasts.

    Args:
        unet: It is left as found.
        contexts: By layer; looked up at every forward pass.
        only_last: For rendering: a text of one row takes the place of the last half of the rows, which with guidance is
            the prompt's.
    """

    def with_own(layer: str, forward: Any) -> Any:
        def take_own(given: Tensor) -> Tensor:
            own = contexts[layer]
            if only_last:
                half = given.shape[0] // 2
                own = torch.cat([given[:half], own.expand(given.shape[0] - half, -1, -1)])
            found: Tensor = forward(own)
            return found

        return take_own

    projections = [
        (name, projection)
        for name, layer in cross_attention_layers(unet).items()
        for projection in (layer.to_k, layer.to_v)
    ]
    # Not by hooks: those of `split_attention`, which are added later, give each layer its text whatever came before.
    for name, projection in projections:
        projection.forward = with_own(name, projection.forward)
    try:
        yield
    finally:
        for _, projection in projections:
            del projection.forward


class PerLayerTokens:
    """Extended Textual Inversion (XTI, arXiv 2303.09522): a token for each cross-attention layer."""

    name = "per-layer tokens"
    defaults = START
    grid: tuple[Mapping[str, Any], ...] = PACES

    def learn(self, base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
        """See `Method`."""
        engine = LayerEngine(base, crops, train_config(settings))
        module = LayerTokens(class_embedding(base, settings.class_word), len(cross_attention_layers(base.unet)))
        losses, seconds = fit(engine, module, module.parameters(), context=own_contexts(base.unet, engine.contexts))
        learned = module.embeddings.detach().clone()

        @contextmanager
        def around(prompt: str) -> Iterator[None]:
            with torch.no_grad(), own_contexts(base.unet, layer_contexts(base, prompt, learned), only_last=True):
                yield

        return Learned(mean_tokens(learned), losses, seconds, learned.numel(), around)


def layer_contexts(base: BaseModel, prompt: str, learned: Tensor) -> dict[str, Tensor]:
    """A prompt with one person in it, encoded for each layer: (1, T, C)."""
    name = prompt.split("<", 1)[1].split(">", 1)[0]
    contexts = {}
    for layer, token in zip(cross_attention_layers(base.unet), learned, strict=True):
        side = {ENCODER: token.unsqueeze(0)}
        contexts[layer] = encode_prompt(base, prompt, {name: IdentityTokens(side, side)}).keys
    return contexts


def mean_tokens(learned: Tensor) -> IdentityTokens:
    """One token in the place of all layers', for the places where a layer does not matter."""
    mean = {ENCODER: learned.mean(dim=0, keepdim=True)}
    return IdentityTokens(mean, mean)


def _with(settings: Settings, options: Mapping[str, Any]) -> Settings:
    return replace(settings, options=options)

"""What a training step computes: one engine for this method and, by its settings, for Textual Inversion and ProSpect.

Base model frozen; gradients and optimiser state for the token module only; pictures and reference sentences encoded
once; per step each row's sentence is encoded with the features of its own timestep's stage, and with no others.

Several people can share the passes: base model, pictures and sentences do not know whose tokens a row is encoded with.

Shapes: B rows, R people, S stages, N vectors per feature, T text positions, C width of the encoded text, P pictures,
E width of the pooled text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from faceid_cli.attention import AttentionRecord
from faceid_cli.attention.hooks import stages_of
from faceid_cli.backbone import BaseModel, TextEncoder, at_work
from faceid_cli.orders import TrainConfig
from faceid_cli.tokens import (
    ENCODER,
    EmbeddingSpace,
    EncoderRows,
    FeatureSource,
    TokenModule,
    TokenModules,
    class_embedding,
    embedding_scale,
    encode_rows,
    features_of,
)
from faceid_cli.training.checkpoint import RunState
from faceid_cli.training.data import (
    Batch,
    Draws,
    encode_latents,
    loss_weights,
    seeded_generator,
)
from faceid_cli.training.initial import initial_embeddings, settled, space_of
from faceid_cli.training.losses import (
    LayerAttention,
    add_noise,
    face_wise_attention_losses,
    reconstruction_losses,
    training_target,
)
from faceid_cli.training.sentences import Sentences, joined_sentences, sentences_for
from faceid_cli.types import FaceCrop

WEIGHT_DECAY = 1e-2


class StepLosses(NamedTuple):
    """The losses of a batch, each a number (or one for each person, (R,)), before they are weighted.

    Attributes:
        reconstruction: Of the noise (or velocity).
        attention: The face-wise attention loss; 0 where its weight is.
    """

    reconstruction: Tensor
    attention: Tensor

    def total(self, config: TrainConfig) -> Tensor:
        """What is trained on."""
        return self.reconstruction + config.attention_weight * self.attention


class Engine:
    """The frozen part of a run, and the losses of a batch under given tokens.

    Args:
        base: The base model.
        crops: What to learn from.
        config: Settings. What is "auto" in them is settled in the engine's own, `self.config`.
        known: Sentences that other people's engines on this base model have encoded; what is missing is added.
    """

    def __init__(
        self,
        base: BaseModel,
        crops: Sequence[FaceCrop],
        config: TrainConfig,
        known: dict[tuple[Any, ...], Sentences] | None = None,
    ) -> None:
        config = settled(base, crops, config)
        self.base, self.config, self.crops = base, config, tuple(crops)
        with at_work(base, "vae"):
            self.latents = encode_latents(base, crops, config.mirror)  # (P, C, h, w)
        self.weights = loss_weights(crops, self.latents, config.mirror, config.background_weight)  # (P, 1, h, w)
        self.uses_reference = config.attention_weight > 0
        said = (config.templates, config.class_word, config.vectors, self.uses_reference)
        known = {} if known is None else known
        if said not in known:
            with at_work(base, "text", "unet"):
                known[said] = sentences_for(base, *said)
        self.sentences = known[said]
        self.time_ids = base.time_ids(base.size_px, base.size_px)
        self.alphas_cumprod = DDPMScheduler.from_config(base.pipeline.scheduler.config).alphas_cumprod.to(base.device)

    def new_state(self) -> RunState:
        """Return the state before the first step."""
        config = self.config
        module = self.token_modules(initial_embeddings(self.base, self.crops, config), space_of(self.base, config))
        rate: Any = config.learning_rate
        on_gpu: dict[str, Any] = {}
        if self.base.device.type == "cuda":  # one kernel, which finds all that changes in the GPU's memory
            rate, on_gpu = torch.tensor(rate, device=self.base.device), {"fused": True, "capturable": True}
        optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, **on_gpu)
        return RunState(module, optimizer, self.new_draws(), [])

    def new_draws(self) -> Draws:
        """Return the run's draws, from their start."""
        return Draws(
            self.config.seed,
            pictures=self.latents.shape[0],
            sentences=len(self.sentences),
            timesteps=self.base.num_train_timesteps,
            latent_shape=tuple(self.latents.shape[1:]),
        )

    def token_modules(
        self, initial: Mapping[str, Tensor], space: EmbeddingSpace | None = None
    ) -> TokenModule | TokenModules:
        """Return what is trained.

        Args:
            initial: Embedding to start from by text encoder, (D,); the class word's where it is left out.
            space: Where features stay; None for anywhere.
        """
        modules = {
            encoder.name: self._token_module(encoder, initial.get(encoder.name), space).to(self.base.device)
            for encoder in self.base.encoders
        }
        return TokenModules(modules) if len(modules) > 1 else modules[ENCODER]

    def _token_module(self, encoder: TextEncoder, initial: Tensor | None, space: EmbeddingSpace | None) -> TokenModule:
        config, base = self.config, self.base
        purpose = "token module" if encoder.name == ENCODER else f"token module of {encoder.name}"
        return TokenModule(
            class_embedding(base, config.class_word, encoder) if initial is None else initial,
            embedding_scale=embedding_scale(base, encoder),
            stages=config.stages,
            vectors=config.vectors,
            split=config.split_keys_values,
            self_attention=config.self_attention,
            generator=seeded_generator(config.seed, purpose),
            space=space,
        )

    def losses(
        self,
        module: FeatureSource,
        batch: Batch,
        record: AttentionRecord | None,
    ) -> StepLosses:
        """Return the losses of a batch; inside `split_attention` of the UNet.

        Args:
            module: Gives the features.
            batch: What was drawn for the step: latent pictures, sentences, timesteps and noise.
            record: Of the UNet's attention; None where no loss looks at it.
        """
        found = SharedEngine([self]).losses([module], batch, record)
        return StepLosses(found.reconstruction[0], found.attention[0])

    def prediction(self, module: FeatureSource, sentences: Sentences, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Return what the UNet makes of noisy latents (B, C, h, w) under the tokens, in their shape."""
        return SharedEngine([self]).prediction([module], sentences, noisy, timesteps)

    def attention_loss(self, record: AttentionRecord, sentences: Sentences, batch: Batch) -> Tensor:
        """Return the face-wise attention loss of the last forward pass, a scalar.

        Args:
            record: Of the UNet's attention.
            sentences: The batch's rows.
            batch: What was drawn for the step.
        """
        return SharedEngine([self]).attention_losses(record, sentences, 1)[0]


class SharedEngine:
    """The engines of several people as one: their rows share each pass of the frozen networks.

    A row knows nothing of the others, so each person's losses and gradients are those that they would have alone, up to
    rounding. Rows stand person after person, each person with equally many.

    Args:
        engines: On one base model, with equal `shared_settings`; R people.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        first = engines[0]
        self.base, self.config, self.engines = first.base, first.config, tuple(engines)
        self.uses_reference = first.uses_reference
        self._time_ids, self._alphas_cumprod = first.time_ids, first.alphas_cumprod
        if len(engines) == 1:
            self.latents, self.weights, self.sentences = first.latents, first.weights, first.sentences
            return
        self.latents = torch.cat([each.latents for each in engines])
        self.weights = _joined_weights(engines)
        known = list({id(each.sentences): each.sentences for each in engines}.values())
        self.sentences = joined_sentences(known)
        starts = dict(zip(map(id, known), _starts(known), strict=True))
        self._sentences_from = [starts[id(each.sentences)] for each in engines]
        self._pictures_from = _starts([each.latents for each in engines])

    def joined(self, batches: Sequence[Batch]) -> Batch:
        """One batch of what was drawn for each person, in their order."""
        if len(batches) == 1:
            return batches[0]
        pictures = [each.pictures + start for each, start in zip(batches, self._pictures_from, strict=True)]
        sentences = [each.sentences + start for each, start in zip(batches, self._sentences_from, strict=True)]
        timesteps, noise = [each.timesteps for each in batches], [each.noise for each in batches]
        return Batch(*map(torch.cat, (pictures, sentences, timesteps, noise)))

    def losses(self, modules: Sequence[FeatureSource], batch: Batch, record: AttentionRecord | None) -> StepLosses:
        """Return the losses of a joined batch, each (R,), one for each person; inside `split_attention` of the UNet.

        Args:
            modules: Give each person's features.
            batch: What was drawn for the step, as `joined` made it.
            record: Of the UNet's attention; None where no loss looks at it.
        """
        base, people = self.base, len(modules)
        pictures, sentences, timesteps, noise = (part.to(base.device) for part in batch)
        latents = self.latents[pictures]
        noisy = add_noise(latents, noise, timesteps, self._alphas_cumprod)
        target = training_target(base.prediction_type, latents, noise, timesteps, self._alphas_cumprod)
        spoken = self.sentences[sentences]
        alone = self.engines[0] if people == 1 else None  # another kind of engine may say otherwise
        if alone is None:
            prediction = self.prediction(modules, spoken, noisy, timesteps)
        else:
            prediction = alone.prediction(modules[0], spoken, noisy, timesteps)
        weights = None if self.weights is None else self.weights[pictures]
        reconstruction = reconstruction_losses(prediction, target, weights, people)
        if record is None:
            return StepLosses(reconstruction, torch.zeros(people, device=base.device))
        if alone is not None:
            return StepLosses(reconstruction, alone.attention_loss(record, spoken, batch)[None])
        return StepLosses(reconstruction, self.attention_losses(record, spoken, people))

    def prediction(
        self, modules: Sequence[FeatureSource], sentences: Sentences, noisy: Tensor, timesteps: Tensor
    ) -> Tensor:
        """Return what the UNet makes of noisy latents (B, C, h, w) under the tokens, in their shape."""
        context, pooled = self._context(modules, sentences, timesteps)
        added = self._added_conditions(pooled, len(sentences))
        prediction: Tensor = self.base.unet(
            noisy.to(self.base.dtype), timesteps, encoder_hidden_states=context, **added
        ).sample
        return prediction

    def attention_losses(self, record: AttentionRecord, sentences: Sentences, people: int) -> Tensor:
        """Return the attention losses of the last forward pass, (R,)."""
        references = sentences.reference_keys
        layers = [
            LayerAttention(record.queries[name], record.keys[name], references[name], record.scales[name])
            for name in record.queries
        ]
        return face_wise_attention_losses(layers, sentences.alignment, people)

    def _added_conditions(self, pooled: Tensor | None, rows: int) -> dict[str, Any]:
        if pooled is None or self._time_ids is None:
            return {}
        return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": self._time_ids.expand(rows, -1)}}

    def _context(
        self, modules: Sequence[FeatureSource], sentences: Sentences, timesteps: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Encode each row with its own stage's features: (B, 2 * T, C), (B, E)."""
        count = len(sentences)
        stage = stages_of(timesteps, self.config.stages, self.base.num_train_timesteps)
        inputs, sides = {}, 1
        for name, parts in _features_at(modules, stage).items():
            sides = len(parts)
            inputs[name] = EncoderRows(
                sentences.ids[name].repeat(sides, 1),
                sentences.mask.repeat(sides, 1),
                torch.arange(sides * count, device=timesteps.device).repeat_interleave(self.config.vectors),
                sentences.positions.flatten().repeat(sides),
                torch.cat(parts).flatten(0, 1),
            )
        encoded = encode_rows(self.base, inputs)
        by_side = encoded.hidden.split(count)
        pooled = None if encoded.pooled is None else encoded.pooled[-count:]  # that of the values, as in rendering
        return torch.cat([by_side[0], by_side[-1]], dim=1), pooled


def _features_at(modules: Sequence[FeatureSource], stage: Tensor) -> dict[str, list[Tensor]]:
    """Each row's features by text encoder: its keys and its values, (B, N, D) each, or once where they are the same."""
    found = [features_of(module, ENCODER) for module in modules]
    if len(found) == 1:
        return {
            name: [keys[stage], values[stage]] if keys is not values else [keys[stage]]
            for name, (keys, values) in found[0].items()
        }
    person = torch.arange(len(found), device=stage.device).repeat_interleave(len(stage) // len(found))
    joined = {}
    for name, (keys, values) in found[0].items():
        sides = (0, 1) if keys is not values else (0,)
        joined[name] = [torch.stack([each[name][side] for each in found])[person, stage] for side in sides]
    return joined


def _joined_weights(engines: Sequence[Engine]) -> Tensor | None:
    if all(each.weights is None for each in engines):
        return None
    return torch.cat(
        [torch.ones_like(each.latents[:, :1]) if each.weights is None else each.weights for each in engines]
    )


def _starts(parts: Sequence[Tensor | Sentences]) -> list[int]:
    """Where each part begins when they stand one after the other."""
    return [0, *accumulate(len(part) for part in parts[:-1])]

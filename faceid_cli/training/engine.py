"""What a training step computes: one engine for this method and, by its settings, for Textual Inversion and ProSpect.

Base model frozen; gradients and optimiser state for the token module only; pictures and reference sentences encoded
once; per step each row's sentence is encoded with the features of its own timestep's stage, and with no others.

Shapes: B rows, S stages, N vectors per feature, T text positions, C width of the encoded text, P pictures,
E width of the pooled text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    face_wise_attention_loss,
    reconstruction_loss,
    training_target,
)
from faceid_cli.training.sentences import Sentences, sentences_for
from faceid_cli.types import FaceCrop

WEIGHT_DECAY = 1e-2


class StepLosses(NamedTuple):
    """The losses of a batch, each a number, before they are weighted.

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
    """

    def __init__(self, base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> None:
        config = settled(base, crops, config)
        self.base, self.config, self.crops = base, config, tuple(crops)
        with at_work(base, "vae"):
            self.latents = encode_latents(base, crops, config.mirror)  # (P, C, h, w)
        self.weights = loss_weights(crops, self.latents, config.mirror, config.background_weight)  # (P, 1, h, w)
        self.uses_reference = config.attention_weight > 0
        with at_work(base, "text", "unet"):
            self.sentences = sentences_for(
                base, config.templates, config.class_word, config.vectors, with_reference=self.uses_reference
            )
        self._time_ids = base.time_ids(base.size_px, base.size_px)
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
        base = self.base
        pictures, sentences, timesteps, noise = (part.to(base.device) for part in batch)
        latents = self.latents[pictures]
        noisy = add_noise(latents, noise, timesteps, self.alphas_cumprod)
        target = training_target(base.prediction_type, latents, noise, timesteps, self.alphas_cumprod)
        spoken = self.sentences[sentences]
        prediction = self.prediction(module, spoken, noisy, timesteps)
        weights = None if self.weights is None else self.weights[pictures]
        reconstruction = reconstruction_loss(prediction, target, weights)
        if record is None:
            return StepLosses(reconstruction, torch.zeros((), device=base.device))
        return StepLosses(reconstruction, self.attention_loss(record, spoken, batch))

    def prediction(self, module: FeatureSource, sentences: Sentences, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Return what the UNet makes of noisy latents (B, C, h, w) under the tokens, in their shape."""
        context, pooled = self._context(module, sentences, timesteps)
        added = self._added_conditions(pooled, len(sentences))
        prediction: Tensor = self.base.unet(
            noisy.to(self.base.dtype), timesteps, encoder_hidden_states=context, **added
        ).sample
        return prediction

    def attention_loss(self, record: AttentionRecord, sentences: Sentences, batch: Batch) -> Tensor:
        """Return the attention loss of the last forward pass, a number."""
        references = sentences.reference_keys
        layers = [
            LayerAttention(record.queries[name], record.keys[name], references[name], record.scales[name])
            for name in record.queries
        ]
        return face_wise_attention_loss(layers, sentences.alignment)

    def _added_conditions(self, pooled: Tensor | None, rows: int) -> dict[str, Any]:
        if pooled is None or self._time_ids is None:
            return {}
        return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": self._time_ids.expand(rows, -1)}}

    def _context(self, module: FeatureSource, sentences: Sentences, timesteps: Tensor) -> tuple[Tensor, Tensor | None]:
        """Encode each row with its own stage's features: (B, 2 * T, C), (B, E)."""
        count = len(sentences)
        stage = stages_of(timesteps, self.config.stages, self.base.num_train_timesteps)
        inputs, sides = {}, 1
        for name, (keys, values) in features_of(module, ENCODER).items():
            features = [keys[stage], values[stage]] if keys is not values else [keys[stage]]  # each (B, N, D)
            sides = len(features)
            inputs[name] = EncoderRows(
                sentences.ids[name].repeat(sides, 1),
                sentences.mask.repeat(sides, 1),
                torch.arange(sides * count, device=timesteps.device).repeat_interleave(self.config.vectors),
                sentences.positions.flatten().repeat(sides),
                torch.cat(features).flatten(0, 1),
            )
        encoded = encode_rows(self.base, inputs)
        by_side = encoded.hidden.split(count)
        pooled = None if encoded.pooled is None else encoded.pooled[-count:]  # that of the values, as in rendering
        return torch.cat([by_side[0], by_side[-1]], dim=1), pooled

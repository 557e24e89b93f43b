"""The token module: what is trained, and thrown away once the tokens are learned.

Shapes: S stages, N vectors per feature, D width of the text encoder's token embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceid_cli.backbone import BaseModel, TextEncoder
from faceid_cli.tokens.space import EmbeddingSpace
from faceid_cli.tokens.tokenize import class_word_ids


class TokenModule(nn.Module):
    """Produces a person's features while they are learned; only its parameters take gradients (paper section 3.2).

    A placeholder embedding, initialised from the class word, is shared by S x {K, V} x N slots. Each slot adds an
    offset of its own (initially zero), the slots exchange information in one layer of self-attention whose output
    projection is initially zero, and the result is added. So before the first step each feature is exactly the class
    word's embedding. Without self-attention each feature is a plain parameter, as in Textual Inversion.

    Args:
        class_embedding: (D,), what the person is before training.
        embedding_scale: Root mean square of the text encoder's token embeddings: it puts the self-attention's output
            on the scale of embeddings, so that one learning rate suits text encoders of different scales.
        stages: S: how many stages have a feature of their own.
        vectors: N: how many vectors, and text positions, a feature has.
        split: Separate K and V features; otherwise both are one tensor.
        self_attention: Whether the slots exchange information; without it features are plain parameters.
        generator: Draws the initial projections.
        space: Where features stay: what is trained are their coordinates there. None for anywhere.
    """

    def __init__(
        self,
        class_embedding: Tensor,
        *,
        embedding_scale: float,
        stages: int,
        vectors: int,
        split: bool,
        self_attention: bool,
        generator: torch.Generator,
        space: EmbeddingSpace | None = None,
    ) -> None:
        super().__init__()
        initial = class_embedding.detach().float().cpu()
        self.stages, self.vectors, self.features = stages, vectors, 2 if split else 1
        self.self_attention, self.space = self_attention, space
        if space is not None:
            initial, embedding_scale = space.coordinates_of(initial), space.scale
        width = initial.shape[-1]
        slots = self.features * stages * vectors
        if not self_attention:
            self.embeddings = nn.Parameter(initial.repeat(slots, 1))
            return
        self.heads = next(heads for heads in (8, 4, 2, 1) if width % heads == 0)
        self.output_scale = embedding_scale / width**0.5
        self.placeholder = nn.Parameter(initial.clone())
        self.offsets = nn.Parameter(torch.zeros(slots, width))
        self.projection_in = nn.Parameter(torch.randn(3 * width, width, generator=generator) / width**0.5)
        self.projection_out = nn.Parameter(torch.zeros(width, width))

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return (P^K, P^V), each float32 (S, N, D); the same tensor twice where K and V are not split."""
        flat = self._mixed() if self.self_attention else self.embeddings
        if self.space is not None:
            flat = self.space.embedding_at(flat)
        shaped = flat.view(self.features, self.stages, self.vectors, -1)
        keys = shaped[0]
        return keys, shaped[1] if self.features == 2 else keys

    def _mixed(self) -> Tensor:
        slots = self.placeholder + self.offsets
        normed = F.layer_norm(slots, slots.shape[-1:])
        query, key, value = (
            part.view(slots.shape[0], self.heads, -1).transpose(0, 1)  # (heads, slots, D / heads)
            for part in F.linear(normed, self.projection_in).chunk(3, dim=-1)
        )
        weights = torch.softmax(query @ key.transpose(1, 2) / query.shape[-1] ** 0.5, dim=-1)
        mixed = (weights @ value).transpose(0, 1).reshape(slots.shape)
        return slots + self.output_scale * F.linear(mixed, self.projection_out)


class TokenModules(nn.Module):
    """Token modules of a base model with several text encoders, one for each: {encoder: (P^K, P^V)}.

    Args:
        modules: By the text encoder's name.
    """

    def __init__(self, modules: Mapping[str, TokenModule]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(modules)

    def forward(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return (P^K, P^V) of each text encoder, as `TokenModule` does."""
        return {name: module() for name, module in self.encoders.items()}


FeatureSource = TokenModules | Callable[[], tuple[Tensor, Tensor]]
"""What gives (P^K, P^V), each (S, N, D): a token module, or those of several text encoders."""


def features_of(module: FeatureSource, first: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Return (P^K, P^V) per text encoder; `first` names the encoder where there is but one."""
    return module() if isinstance(module, TokenModules) else {first: module()}


def class_embedding(base: BaseModel, class_word: str, encoder: TextEncoder | None = None) -> Tensor:
    """Return the input embedding of the class word, (D,) float32; of several tokens the mean.

    Raises:
        UsageError: A class word without a single token.
    """
    encoder = encoder or base.encoders[0]
    ids = class_word_ids(base, class_word, encoder)
    return encoder.module.get_input_embeddings().weight[list(ids)].detach().float().mean(dim=0)


def embedding_scale(base: BaseModel, encoder: TextEncoder | None = None) -> float:
    """Return the root mean square of a text encoder's token embeddings; of the first by default."""
    table = (encoder or base.encoders[0]).module.get_input_embeddings().weight
    return float(table.detach().float().square().mean().sqrt())

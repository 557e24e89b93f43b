"""Parts of the method put together otherwise, for the ablations: a loss of some layers and words, one side learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from faceid_cli.attention import AttentionRecord
from faceid_cli.backbone import BaseModel
from faceid_cli.orders import TrainConfig
from faceid_cli.training.data import Batch
from faceid_cli.training.engine import Engine
from faceid_cli.training.losses import Alignment, LayerAttention, face_wise_attention_loss
from faceid_cli.training.sentences import Sentences
from faceid_cli.types import FaceCrop


class SelectiveEngine(Engine):
    """An engine whose attention loss is carried by some layers and words only.

    Args:
        base: As for `Engine`.
        crops: As for `Engine`.
        config: As for `Engine`.
        layers: Which layers, see `chosen_layers`.
        words: "all", or "identity" for the person's word alone.
    """

    def __init__(
        self, base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig, layers: str = "all", words: str = "all"
    ) -> None:
        super().__init__(base, crops, config)
        self._layers, self._words = layers, words

    def attention_loss(self, record: AttentionRecord, sentences: Sentences, batch: Batch) -> Tensor:
        """See `Engine.attention_loss`."""
        references = sentences.reference_keys
        layers = [
            LayerAttention(record.queries[name], record.keys[name], references[name], record.scales[name])
            for name in chosen_layers(record.shapes, self._layers)
        ]
        alignment = sentences.alignment
        if self._words == "identity":
            alignment = identity_alone(sentences, alignment)
        return face_wise_attention_loss(layers, alignment)


def chosen_layers(shapes: dict[str, tuple[int, int]], which: str) -> list[str]:
    """Names of layers by part of the UNet, or by place among the resolutions, from the largest.

    Raises:
        ValueError: No layer is so.
    """
    if which == "all":
        return list(shapes)
    if which.isdecimal():
        sizes = sorted({height * width for height, width in shapes.values()}, reverse=True)
        size = sizes[int(which) - 1] if int(which) <= len(sizes) else -1
        found = [name for name, (height, width) in shapes.items() if height * width == size]
    else:
        found = [name for name in shapes if name.startswith(f"{which}_")]
    if not found:
        raise ValueError(f"no layer is {which!r}")
    return found


def identity_alone(sentences: Sentences, alignment: Alignment | None) -> Alignment:
    """An alignment that compares the person's word with the class word, and no other words."""
    rows, length = sentences.mask.shape
    target = torch.zeros(rows, length, length, device=sentences.mask.device)
    reference = torch.zeros_like(target)
    for row, positions in enumerate(sentences.positions):
        first = int(positions[0])
        target[row, positions, first] = 1
        if alignment is None:
            reference[row, first, first] = 1
        else:
            reference[row, :, first] = alignment.reference[row, :, first]
    return Alignment(target, reference)


class OneSide(nn.Module):
    """A token module of which only the keys, or only the values, are learned; the other side stays what it was."""

    initial: Tensor

    def __init__(self, module: nn.Module, side: str, initial: Tensor) -> None:
        super().__init__()
        self.module, self._side = module, side
        self.register_buffer("initial", initial.detach().clone())

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return (P^K, P^V), each (S, N, D)."""
        keys, values = self.module()
        still = self.initial.expand_as(keys)
        return {"keys": (keys, still), "values": (still, values)}[self._side]

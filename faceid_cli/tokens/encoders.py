"""The text encoders of a base model, run on rows of token ids with given vectors in place of some input embeddings.

Stable Diffusion 1.x and 2.x have one encoder and listen to its normed output (files of 2.x leave the last layer out).
Stable Diffusion XL has two: it listens to the outputs of their last layers but one, joined along the width, and to a
pooled text of the second, projected. The pooled text is read at the end token, wherever that stands.

Shapes: R rows, T text positions, D width of token embeddings, C width of the encoded text, P placeholder positions in
all rows, E width of the pooled text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from faceid_cli.backbone import BaseModel, TextEncoder, at_work
from faceid_cli.errors import UsageError


@dataclass(frozen=True)
class EncoderRows:
    """What one text encoder is given.

    Attributes:
        ids: (R, T) token ids.
        mask: (R, T), 1 up to and including the end token.
        rows: (P,) row of each replaced position.
        positions: (P,) text position of each.
        vectors: (P, D) what to put there, in any float type.
    """

    ids: Tensor
    mask: Tensor
    rows: Tensor
    positions: Tensor
    vectors: Tensor


@dataclass(frozen=True)
class EncodedRows:
    """What the UNet is given.

    Attributes:
        hidden: (R, T, C) in the text encoders' type.
        pooled: (R, E), or None where the base model has no pooled text.
    """

    hidden: Tensor
    pooled: Tensor | None


def encode_rows(base: BaseModel, inputs: Mapping[str, EncoderRows], clip_skip: int = 0) -> EncodedRows:
    """Encode rows by all of the base model's text encoders.

    Args:
        base: The base model; it is left as found.
        inputs: By the text encoder's name; equal rows and positions.
        clip_skip: How many of the last layers to leave out.

    Raises:
        UsageError: There are not so many layers.
    """
    with at_work(base, "text"):
        return _encode(base, inputs, clip_skip)


def _encode(base: BaseModel, inputs: Mapping[str, EncoderRows], clip_skip: int) -> EncodedRows:
    if base.family == "sdxl":
        hidden, pooled = [], None
        for encoder in base.encoders:
            part, pooled = _encode_xl(encoder, inputs[encoder.name], clip_skip)
            hidden.append(part)
        return EncodedRows(torch.cat(hidden, dim=-1), pooled)
    encoder = base.encoders[0]
    given = inputs[encoder.name]
    with _substituted(encoder.module, given):
        if clip_skip == 0:
            return EncodedRows(encoder.module(given.ids, attention_mask=_mask(encoder, given))[0], None)
        output = encoder.module(given.ids, attention_mask=_mask(encoder, given), output_hidden_states=True)
    inner = getattr(encoder.module, "text_model", encoder.module)
    return EncodedRows(inner.final_layer_norm(_layer(output.hidden_states, clip_skip + 1, clip_skip)), None)


def _encode_xl(encoder: TextEncoder, given: EncoderRows, clip_skip: int) -> tuple[Tensor, Tensor | None]:
    with _substituted(encoder.module, given):
        output = encoder.module(given.ids, attention_mask=_mask(encoder, given), output_hidden_states=True)
    hidden = _layer(output.hidden_states, clip_skip + 2, clip_skip)
    if not hasattr(encoder.module, "text_projection"):
        return hidden, None
    # transformers looks for the largest token id where a configuration has the old end token: read the true end instead
    ends = given.mask.sum(dim=1) - 1
    rows = torch.arange(len(ends), device=given.ids.device)
    return hidden, encoder.module.text_projection(output.last_hidden_state[rows, ends])


def _layer(states: tuple[Tensor, ...], from_end: int, clip_skip: int) -> Tensor:
    if from_end >= len(states):
        raise UsageError(f"clip skip is {clip_skip}, the text encoder has {len(states) - 1} layers", "use 0 to 3")
    return states[-from_end]


def _mask(encoder: TextEncoder, given: EncoderRows) -> Tensor | None:
    """Only text encoders that were trained with the mask get it."""
    return given.mask if getattr(encoder.module.config, "use_attention_mask", False) else None


@contextmanager
def _substituted(encoder: Any, given: EncoderRows) -> Iterator[None]:
    def replace(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
        return output.index_put((given.rows, given.positions), given.vectors.to(output.device, output.dtype))

    if given.rows.numel() == 0:
        yield
        return
    handle = encoder.get_input_embeddings().register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()

"""Prompts with people in them, encoded for every stage: once with P^K and once with P^V (paper section 3.2).

While the frozen text transformer runs, the input embeddings at the placeholders' positions are replaced by the people's
features; the embedding table is never changed.

Shapes: S stages, N vectors per feature, T text positions, D width of token embeddings, C width of the encoded text,
R rows, P placeholder positions in all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import ModelMismatchError, UsageError
from faceid_cli.tokens.tokenize import TokenizedPrompt, tokenize_prompt
from faceid_cli.types import IdentityTokens

if TYPE_CHECKING:
    import numpy as np

ENCODER = "text_encoder"


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as the UNet's cross-attention wants it, for every stage.

    Attributes:
        keys: (S, T, C), encoded with P^K at the placeholders.
        values: (S, T, C), encoded with P^V.
        pieces: Text of each position.
        positions: Text positions of each person in the prompt.
    """

    keys: Tensor
    values: Tensor
    pieces: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]

    @property
    def stages(self) -> int:
        """Number of stages S."""
        return int(self.keys.shape[0])

    def with_stages(self, stages: int) -> EncodedPrompt:
        """Return it for that many stages; only one stage can be repeated.

        Raises:
            UsageError: It has several stages, and another number of them.
        """
        if self.stages == stages:
            return self
        if self.stages != 1:
            raise UsageError(f"a prompt of {self.stages} stages cannot become one of {stages}")
        keys, values = (part.expand(stages, -1, -1) for part in (self.keys, self.values))
        return EncodedPrompt(keys, values, self.pieces, self.positions)

    def context(self) -> Tensor:
        """Return [K1..KS | V1..VS], (1, 2 * S * T, C): what `attention.split_attention` expects as prompt_embeds."""
        return torch.cat([self.keys.flatten(0, 1), self.values.flatten(0, 1)]).unsqueeze(0)


def encode_prompt(base: BaseModel, prompt: str, people: Mapping[str, IdentityTokens]) -> EncodedPrompt:
    """Encode a prompt with people in it, once per distinct feature. Gradients flow to the people's tokens.

    Args:
        base: The base model; it is left as found.
        prompt: Text with placeholders `<name>`. Everything else, class words included, is ordinary text.
        people: Tokens of at least the people in the prompt. Those in the prompt have equal numbers of stages, or one.

    Raises:
        UsageError: A placeholder without a person, or people whose stages differ.
        ModelMismatchError: Tokens of another width than the text encoder's.
        PromptTooLongError: Names the words that fall off.
    """
    tokenized = tokenize_prompt(base, prompt, {name: tokens.vectors for name, tokens in people.items()})
    present = {name: people[name] for name in tokenized.positions}
    stages = _common_stages(present)
    for name, tokens in present.items():
        _check_width(base, name, tokens)
    keys = _encode_stages(base, tokenized, {name: tokens.keys[ENCODER] for name, tokens in present.items()}, stages)
    if all(torch.equal(tokens.keys[ENCODER], tokens.values[ENCODER]) for tokens in present.values()):
        values = keys
    else:
        values = _encode_stages(
            base, tokenized, {name: tokens.values[ENCODER] for name, tokens in present.items()}, stages
        )
    return EncodedPrompt(keys, values, tokenized.pieces, tokenized.positions)


def encode_rows(base: BaseModel, ids: Tensor, mask: Tensor, rows: Tensor, positions: Tensor, vectors: Tensor) -> Tensor:
    """Encode rows of token ids, with given vectors in place of some input embeddings.

    Args:
        base: The base model; it is left as found.
        ids: (R, T) token ids.
        mask: (R, T), 1 up to the end token; used only by text encoders that were trained with it.
        rows: (P,) row of each replaced position.
        positions: (P,) text position of each.
        vectors: (P, D) what to put there, in any float type.

    Returns:
        (R, T, C) in the text encoder's type.
    """
    encoder = base.text_encoder
    attention_mask = mask if getattr(encoder.config, "use_attention_mask", False) else None
    with _substituted(encoder, rows, positions, vectors):
        return encoder(ids, attention_mask=attention_mask)[0]


def tokens_from_arrays(keys: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]) -> IdentityTokens:
    """Return tokens made of numpy arrays, one (S, N, D) array per text encoder name."""
    return IdentityTokens(
        {name: torch.from_numpy(array.astype("float32", copy=True)) for name, array in keys.items()},
        {name: torch.from_numpy(array.astype("float32", copy=True)) for name, array in values.items()},
    )


def arrays_from_tokens(tokens: IdentityTokens) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return (keys, values) as float32 numpy arrays, for `identity_file.save_identity`."""
    keys, values = (
        {name: tensor.detach().float().cpu().numpy() for name, tensor in side.items()}
        for side in (tokens.keys, tokens.values)
    )
    return keys, values


@contextmanager
def _substituted(encoder: Any, rows: Tensor, positions: Tensor, vectors: Tensor) -> Iterator[None]:
    def replace(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
        return output.index_put((rows, positions), vectors.to(output.device, output.dtype))

    if rows.numel() == 0:
        yield
        return
    handle = encoder.get_input_embeddings().register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def _encode_stages(base: BaseModel, prompt: TokenizedPrompt, features: dict[str, Tensor], stages: int) -> Tensor:
    """Encode a prompt with one feature (S or 1, N, D) per person; return (S, T, C). Equal stages are encoded once."""
    places = [
        (name, p, slot) for name in features for p, slot in zip(prompt.positions[name], prompt.slots[name], strict=True)
    ]
    per_stage = [
        torch.cat([features[name][min(stage, len(features[name]) - 1), slot].unsqueeze(0) for name, _, slot in places])
        if places
        else torch.empty(0, base.text_width)
        for stage in range(stages)
    ]
    distinct: list[int] = []
    row_of: list[int] = []
    for vectors in per_stage:
        same = next((row for row, stage in enumerate(distinct) if torch.equal(per_stage[stage], vectors)), None)
        if same is None:
            same = len(distinct)
            distinct.append(len(row_of))
        row_of.append(same)
    count, device = len(distinct), base.device
    at = torch.tensor([p for _, p, _ in places], dtype=torch.long, device=device)
    encoded = encode_rows(
        base,
        torch.tensor([prompt.ids] * count, device=device),
        torch.tensor([prompt.mask] * count, device=device),
        torch.arange(count, device=device).repeat_interleave(len(places)),
        at.repeat(count),
        torch.cat([per_stage[stage] for stage in distinct]),
    )
    return encoded[torch.tensor(row_of, device=device)]


def _common_stages(people: Mapping[str, IdentityTokens]) -> int:
    counts = {name: tokens.stages for name, tokens in people.items() if tokens.stages != 1}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise UsageError(f"these people have different numbers of stages: {listed}", "enroll them with equal settings")
    return next(iter(counts.values()), 1)


def _check_width(base: BaseModel, name: str, tokens: IdentityTokens) -> None:
    if ENCODER not in tokens.keys or tokens.keys[ENCODER].shape[-1] != base.text_width:
        found = tokens.keys[ENCODER].shape[-1] if ENCODER in tokens.keys else "another text encoder's"
        raise ModelMismatchError(
            f"{name} does not fit this base model: token width {found}, the model's is {base.text_width}",
            "use the base model that the person was enrolled with",
        )

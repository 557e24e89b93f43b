"""Prompts with people in them, encoded for every stage: once with P^K and once with P^V (paper section 3.2).

While the frozen text transformer runs, the input embeddings at the placeholders' positions are replaced by the people's
features; the embedding table is never changed.

Shapes: S stages, N vectors per feature, T text positions, D width of token embeddings, C width of the encoded text,
P placeholder positions, E width of the pooled text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import ModelMismatchError, UsageError
from faceid_cli.tokens.encoders import EncodedRows, EncoderRows, encode_rows
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
        pooled: (S, E), encoded with P^V; None where the base model has no pooled text.
    """

    keys: Tensor
    values: Tensor
    pieces: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]
    pooled: Tensor | None = None

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
        pooled = None if self.pooled is None else self.pooled.expand(stages, -1)
        return EncodedPrompt(keys, values, self.pieces, self.positions, pooled)

    def context(self) -> Tensor:
        """Return [K1..KS | V1..VS], (1, 2 * S * T, C): what `attention.split_attention` expects as prompt_embeds."""
        return torch.cat([self.keys.flatten(0, 1), self.values.flatten(0, 1)]).unsqueeze(0)

    def pooled_context(self) -> Tensor | None:
        """Return the pooled texts of all stages, (1, S * E), or None: `split_attention` cuts the current one out."""
        return None if self.pooled is None else self.pooled.reshape(1, -1)


def encode_prompt(
    base: BaseModel, prompt: str, people: Mapping[str, IdentityTokens], clip_skip: int = 0
) -> EncodedPrompt:
    """Encode a prompt with people in it, once per distinct feature. Gradients flow to the people's tokens.

    Args:
        base: The base model; it is left as found.
        prompt: Text with placeholders `<name>`. Everything else, class words included, is ordinary text.
        people: Tokens of at least the people in the prompt. Those in the prompt have equal numbers of stages, or one.
        clip_skip: How many of the text encoders' last layers to leave out.

    Raises:
        UsageError: A placeholder without a person, or people whose stages differ.
        ModelMismatchError: Tokens of another width than the text encoder's.
        PromptTooLongError: Names the words that fall off.
    """
    counts = {name: tokens.vectors for name, tokens in people.items()}
    prompts = {encoder.name: tokenize_prompt(base, prompt, counts, encoder) for encoder in base.encoders}
    first = prompts[ENCODER]
    present = {name: people[name] for name in first.positions}
    stages = common_stages(present)
    for name, tokens in present.items():
        _check_width(base, name, tokens)
    sides = [{name: tokens.keys for name, tokens in present.items()}]
    if not all(_unsplit(tokens) for tokens in present.values()):
        sides.append({name: tokens.values for name, tokens in present.items()})
    encoded = _encode_sides(base, prompts, sides, stages, clip_skip)
    keys, values = encoded.hidden[:stages], encoded.hidden[-stages:]
    pooled = None if encoded.pooled is None else encoded.pooled[-stages:]
    return EncodedPrompt(keys, values, first.pieces, first.positions, pooled)


def tokens_from_arrays(
    keys: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray], class_word: str = "person"
) -> IdentityTokens:
    """Return tokens made of numpy arrays, one (S, N, D) array per text encoder name."""
    return IdentityTokens(
        {name: torch.from_numpy(array.astype("float32", copy=True)) for name, array in keys.items()},
        {name: torch.from_numpy(array.astype("float32", copy=True)) for name, array in values.items()},
        class_word,
    )


def arrays_from_tokens(tokens: IdentityTokens) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return (keys, values) as float32 numpy arrays, for `identity_file.save_identity`."""
    keys, values = (
        {name: tensor.detach().float().cpu().numpy() for name, tensor in side.items()}
        for side in (tokens.keys, tokens.values)
    )
    return keys, values


def _encode_sides(
    base: BaseModel,
    prompts: Mapping[str, TokenizedPrompt],
    sides: Sequence[Mapping[str, Mapping[str, Tensor]]],
    stages: int,
    clip_skip: int,
) -> EncodedRows:
    """Encode a prompt with one feature (S or 1, N, D) per person and text encoder, side after side.

    Equal rows are encoded once, all of them in one pass.

    Returns:
        (sides * S, T, C), (sides * S, E).
    """
    device, people = base.device, sides[0]
    per_row = {
        name: [vectors for side in sides for vectors in _stage_vectors(prompt, side, name, stages)]
        for name, prompt in prompts.items()
    }
    distinct: list[int] = []
    row_of: list[int] = []
    for place in range(len(sides) * stages):
        same = next(
            (
                row
                for row, other in enumerate(distinct)
                if all(torch.equal(vectors[place], vectors[other]) for vectors in per_row.values())
            ),
            None,
        )
        if same is None:
            same = len(distinct)
            distinct.append(place)
        row_of.append(same)
    count = len(distinct)
    inputs = {}
    for name, prompt in prompts.items():
        at = torch.tensor([p for person in people for p in prompt.positions[person]], dtype=torch.long, device=device)
        inputs[name] = EncoderRows(
            ids=torch.tensor([prompt.ids] * count, device=device),
            mask=torch.tensor([prompt.mask] * count, device=device),
            rows=torch.arange(count, device=device).repeat_interleave(len(at)),
            positions=at.repeat(count),
            vectors=torch.cat([per_row[name][place] for place in distinct]),
        )
    encoded = encode_rows(base, inputs, clip_skip)
    rows = torch.tensor(row_of, device=device)
    hidden = _weighted(encoded.hidden, next(iter(prompts.values())).weights)
    return EncodedRows(hidden[rows], None if encoded.pooled is None else encoded.pooled[rows])


def _stage_vectors(
    prompt: TokenizedPrompt, features: Mapping[str, Mapping[str, Tensor]], encoder: str, stages: int
) -> list[Tensor]:
    """What stands at the placeholders in each stage, (P, D)."""
    places = [(person, slot) for person in features for slot in prompt.slots[person]]
    if not places:
        return [torch.empty(0, 1)] * stages
    return [
        torch.stack(
            [features[person][encoder][min(stage, len(features[person][encoder]) - 1), slot] for person, slot in places]
        )
        for stage in range(stages)
    ]


def _weighted(hidden: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Scale each position (R, T, C) by its weight, and then all alike, so that their mean square stays what it was."""
    if all(weight == 1.0 for weight in weights):
        return hidden
    scaled = hidden.float() * torch.tensor(weights, device=hidden.device).view(1, -1, 1)
    before, after = (part.square().mean(dim=(1, 2), keepdim=True).sqrt() for part in (hidden.float(), scaled))
    return (scaled * (before / after)).to(hidden.dtype)


def _unsplit(tokens: IdentityTokens) -> bool:
    return all(torch.equal(tokens.keys[name], tokens.values[name]) for name in tokens.keys)


def common_stages(people: Mapping[str, IdentityTokens]) -> int:
    """How many stages a picture with these people has: those of one stage fit to any number.

    Raises:
        UsageError: They have different numbers.
    """
    counts = {name: tokens.stages for name, tokens in people.items() if tokens.stages != 1}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise UsageError(f"these people have different numbers of stages: {listed}", "enroll them with equal settings")
    return next(iter(counts.values()), 1)


def _check_width(base: BaseModel, name: str, tokens: IdentityTokens) -> None:
    found = {encoder: int(part.shape[-1]) for encoder, part in tokens.keys.items()}
    wanted = {encoder.name: encoder.width for encoder in base.encoders}
    if found == wanted:
        return
    widths, wanted_widths = (" and ".join(map(str, sides.values())) for sides in (found, wanted))
    raise ModelMismatchError(
        f"{name} does not fit this base model: token width {widths}, the model's is {wanted_widths}",
        "use the base model that the person was enrolled with, or another of its family",
    )

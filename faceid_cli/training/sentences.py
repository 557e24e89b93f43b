"""The training sentences, encoded as far as they never change.

Shapes: R sentences, T text positions, N vectors per feature, M heads, d width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from faceid_cli.attention import cross_attention_layers
from faceid_cli.attention.record import split_heads
from faceid_cli.backbone import BaseModel
from faceid_cli.errors import PromptTooLongError
from faceid_cli.tokens import ENCODER, EncoderRows, class_word_ids, encode_rows, tokenize_prompt
from faceid_cli.training.losses import Alignment

PERSON = "person"  # name of the placeholder in training sentences; no user sees it
_MOST_TOLD = 40  # characters of a class word that an error repeats
TEMPLATES: dict[str, tuple[str, ...]] = {
    "face": (
        "a photo of the face of {}",
        "a picture of the face of {}",
        "a portrait of the face of {}",
        "a close-up photo of the face of {}",
    ),
    "photo": (
        "a photo of {}",
        "a picture of {}",
        "a portrait of {}",
        "a close-up photo of {}",
    ),
}


@dataclass(frozen=True)
class Sentences:
    """Training sentences with their references, encoded as far as they never change; R of them.

    Attributes:
        ids: Per text encoder (R, T) token ids; the placeholder's positions hold an ordinary id.
        mask: (R, T) 1 up to the end token.
        positions: (R, N) the placeholder's positions.
        reference: (R, ...) the keys of all cross-attention layers, one layer after the other, of the sentences with the
            class word; None if not needed.
        layers: Per cross-attention layer the shape (M, T, d) of its part of them.
        alignment: (R, T, T), or None where placeholder and class word take equally many positions.
    """

    ids: dict[str, Tensor]
    mask: Tensor
    positions: Tensor
    reference: Tensor | None
    layers: dict[str, tuple[int, ...]]
    alignment: Alignment | None

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, rows: Tensor | slice) -> Sentences:
        """Some of the sentences.

        Args:
            rows: (R,) which ones, on the device of the base model, or a slice.
        """
        alignment = self.alignment
        return Sentences(
            {name: ids[rows] for name, ids in self.ids.items()},
            self.mask[rows],
            self.positions[rows],
            None if self.reference is None else self.reference[rows],
            self.layers,
            None if alignment is None else Alignment(alignment.target[rows], alignment.reference[rows]),
        )

    @property
    def reference_keys(self) -> dict[str, Tensor]:
        """Per cross-attention layer (R, M, T, d), of the sentences with the class word; empty if not needed."""
        if self.reference is None:
            return {}
        parts = self.reference.split([math.prod(shape) for shape in self.layers.values()], dim=1)
        return {name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, self.layers.items(), strict=True)}


def sentences_for(base: BaseModel, templates: str, class_word: str, vectors: int, with_reference: bool) -> Sentences:
    """Return the training sentences of a template set.

    Args:
        base: The base model.
        templates: Name of the set, see TEMPLATES.
        class_word: Stands in the reference sentence where the placeholder stands in the training sentence.
        vectors: Positions the placeholder takes.
        with_reference: Also encode the reference sentences; only the losses on attention need them.

    Raises:
        PromptTooLongError: Placeholder or class word leave no room for the rest.
    """
    try:
        each = [_sentence(base, template, class_word, vectors, with_reference) for template in TEMPLATES[templates]]
    except PromptTooLongError as error:
        told = class_word if len(class_word) <= _MOST_TOLD else f"{class_word[:_MOST_TOLD]}..."
        raise PromptTooLongError(
            f"the training sentences do not fit into the {base.text_window} tokens of the text encoder, with "
            f"{vectors} for the person, or with the class word {told!r}",
            "use fewer --vectors, or a shorter --class",
        ) from error
    return joined_sentences(each)


def joined_sentences(each: Sequence[Sentences]) -> Sentences:
    """Return sentences one after the other as one; all of one base model, with equally many vectors."""
    if len(each) == 1:
        return each[0]
    if any(part.alignment is not None for part in each):
        each = [part if part.alignment is not None else replace(part, alignment=_one_to_one(part)) for part in each]
    alignments = [part.alignment for part in each if part.alignment is not None]
    references = [part.reference for part in each if part.reference is not None]
    return Sentences(
        {name: torch.cat([part.ids[name] for part in each]) for name in each[0].ids},
        torch.cat([part.mask for part in each]),
        torch.cat([part.positions for part in each]),
        torch.cat(references) if references else None,
        each[0].layers,
        Alignment(*(torch.cat([getattr(part, side) for part in alignments]) for side in ("target", "reference")))
        if alignments
        else None,
    )


def _one_to_one(sentences: Sentences) -> Alignment:
    """The alignment of sentences whose positions correspond one to one."""
    length = sentences.mask.shape[1]
    same = torch.eye(length, device=sentences.mask.device).expand(len(sentences), -1, -1)
    return Alignment(same, same)


def align(start: int, vectors: int, class_tokens: int, length: int) -> tuple[Tensor, Tensor]:
    """Return which word each position belongs to, (T, T) one-hot for target and reference sentence.

    Positions before `start` correspond one to one. The placeholder's positions together correspond to the class word's
    together. The rest corresponds in order; what one side has too much at the end joins its last word.
    """
    rest = length - start - max(vectors, class_tokens)

    def one_side(taken: int) -> Tensor:
        after = [start + 1 + min(index, rest - 1) for index in range(length - start - taken)]
        words = [*range(start), *[start] * taken, *after]
        return torch.nn.functional.one_hot(torch.tensor(words), length).float()

    return one_side(vectors), one_side(class_tokens)


def _sentence(base: BaseModel, template: str, class_word: str, vectors: int, with_reference: bool) -> Sentences:
    prompt = template.format(f"<{PERSON}>")
    by_encoder = {each.name: tokenize_prompt(base, prompt, {PERSON: vectors}, each) for each in base.encoders}
    target = by_encoder[ENCODER]
    keys: dict[str, Tensor] = {}
    alignment = None
    if with_reference:
        keys = _reference_keys(base, template.format(class_word))
        class_tokens = len(class_word_ids(base, class_word))
        start = target.positions[PERSON][0]
        if class_tokens != vectors:
            sides = align(start, vectors, class_tokens, len(target.ids))
            alignment = Alignment(*(side.unsqueeze(0).to(base.device) for side in sides))
    return Sentences(
        ids={name: torch.tensor([each.ids], device=base.device) for name, each in by_encoder.items()},
        mask=torch.tensor([target.mask], device=base.device),
        positions=torch.tensor([target.positions[PERSON]], device=base.device),
        reference=torch.cat([each.flatten(1) for each in keys.values()], dim=1) if keys else None,
        layers={name: tuple(each.shape[1:]) for name, each in keys.items()},
        alignment=alignment,
    )


def _reference_keys(base: BaseModel, prompt: str) -> dict[str, Tensor]:
    """Project the reference sentence by every layer's `to_k`, (1, M, T, d): it never changes, so once is enough."""
    nowhere = torch.empty(0, dtype=torch.long, device=base.device)
    inputs = {}
    for encoder in base.encoders:
        tokenized = tokenize_prompt(base, prompt, {}, encoder)
        ids, mask = (torch.tensor([part], device=base.device) for part in (tokenized.ids, tokenized.mask))
        inputs[encoder.name] = EncoderRows(ids, mask, nowhere, nowhere, torch.empty(0, encoder.width))
    with torch.no_grad():
        encoded = encode_rows(base, inputs).hidden
        layers = cross_attention_layers(base.unet)
        return {name: split_heads(layer.to_k(encoded), layer.heads) for name, layer in layers.items()}

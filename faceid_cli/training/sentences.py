"""The training sentences, encoded as far as they never change.

Shapes: B batch, T text positions, M heads, d width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
class Sentence:
    """A training sentence with its reference, encoded as far as it never changes.

    Attributes:
        ids: Per text encoder (T,) token ids; the placeholder's positions hold an ordinary id.
        mask: (T,) 1 up to the end token.
        positions: (N,) the placeholder's positions.
        reference_keys: Per cross-attention layer (M, T, d), of the sentence with the class word; empty if not needed.
        alignment: Of one row (1, T, T), or None where placeholder and class word take equally many positions.
    """

    ids: dict[str, Tensor]
    mask: Tensor
    positions: Tensor
    reference_keys: dict[str, Tensor]
    alignment: Alignment | None


def sentences_for(
    base: BaseModel, templates: str, class_word: str, vectors: int, with_reference: bool
) -> list[Sentence]:
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
        return [_sentence(base, template, class_word, vectors, with_reference) for template in TEMPLATES[templates]]
    except PromptTooLongError as error:
        told = class_word if len(class_word) <= _MOST_TOLD else f"{class_word[:_MOST_TOLD]}..."
        raise PromptTooLongError(
            f"the training sentences do not fit into the {base.text_window} tokens of the text encoder, with "
            f"{vectors} for the person, or with the class word {told!r}",
            "use fewer --vectors, or a shorter --class",
        ) from error


def alignment_of(sentences: Sequence[Sentence]) -> Alignment | None:
    """Return the alignment of a batch of sentences, (B, T, T), or None."""
    parts = [sentence.alignment for sentence in sentences]
    present = [part for part in parts if part is not None]
    if not present:
        return None
    return Alignment(torch.cat([part.target for part in present]), torch.cat([part.reference for part in present]))


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


def _sentence(base: BaseModel, template: str, class_word: str, vectors: int, with_reference: bool) -> Sentence:
    prompt = template.format(f"<{PERSON}>")
    by_encoder = {each.name: tokenize_prompt(base, prompt, {PERSON: vectors}, each) for each in base.encoders}
    target = by_encoder[ENCODER]
    keys: dict[str, Tensor] = {}
    alignment = None
    if with_reference:
        reference = template.format(class_word)
        keys = _reference_keys(base, reference)
        class_tokens = len(class_word_ids(base, class_word))
        start = target.positions[PERSON][0]
        if class_tokens != vectors:
            sides = align(start, vectors, class_tokens, len(target.ids))
            alignment = Alignment(*(side.unsqueeze(0).to(base.device) for side in sides))
    return Sentence(
        ids={name: torch.tensor(each.ids, device=base.device) for name, each in by_encoder.items()},
        mask=torch.tensor(target.mask, device=base.device),
        positions=torch.tensor(target.positions[PERSON], device=base.device),
        reference_keys=keys,
        alignment=alignment,
    )


def _reference_keys(base: BaseModel, prompt: str) -> dict[str, Tensor]:
    """Project the reference sentence by every layer's `to_k`: it never changes, so once is enough."""
    nowhere = torch.empty(0, dtype=torch.long, device=base.device)
    inputs = {}
    for encoder in base.encoders:
        tokenized = tokenize_prompt(base, prompt, {}, encoder)
        ids, mask = (torch.tensor([part], device=base.device) for part in (tokenized.ids, tokenized.mask))
        inputs[encoder.name] = EncoderRows(ids, mask, nowhere, nowhere, torch.empty(0, encoder.width))
    with torch.no_grad():
        encoded = encode_rows(base, inputs).hidden
        layers = cross_attention_layers(base.unet)
        return {name: split_heads(layer.to_k(encoded), layer.heads)[0] for name, layer in layers.items()}

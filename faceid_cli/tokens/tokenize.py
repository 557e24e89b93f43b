"""From a prompt with placeholders `<name>` to token ids.

Placeholders are found by parsing the prompt and kept as positions, never by text replacement. The tokenizer is not
changed. Shapes: T text positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faceid_cli.backbone import BaseModel, TextEncoder
from faceid_cli.errors import PromptTooLongError, UsageError
from faceid_cli.orders.emphasis import weighted_parts

_MOST_WORDS_TOLD = 12
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_-]{1,64})>")


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt as token ids, padded to the text window.

    Attributes:
        ids: T token ids; placeholder positions hold an ordinary id, whose embedding is replaced.
        mask: 1 up to and including the end token, then 0.
        pieces: Text of each position; placeholders as "<name>".
        positions: All positions of each name, in order of the prompt.
        slots: For each name the index of the person's vector at each of those positions.
        weights: How much each position counts; 1 unless the prompt says otherwise.
    """

    ids: tuple[int, ...]
    mask: tuple[int, ...]
    pieces: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]
    slots: dict[str, tuple[int, ...]]
    weights: tuple[float, ...] = ()


def tokenize_prompt(
    base: BaseModel, prompt: str, vectors: Mapping[str, int], encoder: TextEncoder | None = None
) -> TokenizedPrompt:
    """Turn a prompt into token ids, with `vectors[name]` positions for each placeholder `<name>`.

    `(words:1.3)` gives words a weight, see `orders.emphasis`.

    Args:
        base: The base model.
        prompt: People and other learned words are marked as `<name>` in it.
        vectors: Positions of each person.
        encoder: Which of the base model's text encoders; the first by default.

    Raises:
        UsageError: A placeholder of an unknown name, or weights that cannot be read.
        PromptTooLongError: Names the words that fall off.
    """
    encoder = encoder or base.encoders[0]
    tokenizer = encoder.tokenizer
    pieces: list[_Piece] = []
    words: list[tuple[str, int]] = []  # word, how many positions there are up to its end
    for text, name, weight in _parts(prompt):
        if name is not None:
            if name not in vectors:
                raise UsageError(f"the prompt mentions <{name}>, but no such person is given")
            stand_in = _ordinary_id(tokenizer)
            pieces += [_Piece(stand_in, f"<{name}>", weight, name, slot) for slot in range(vectors[name])]
            words.append((f"<{name}>", len(pieces)))
            continue
        done = len(pieces)
        ids = tokenizer(text, add_special_tokens=False, verbose=False).input_ids  # what is too long is told below
        pieces += [_Piece(token, _text_of(tokenizer, token), weight) for token in ids]
        for word in text.split():
            done += len(tokenizer(word, add_special_tokens=False).input_ids)
            words.append((word, done))
    _check_length(words, len(pieces), base.text_window - 2)
    return _padded(tokenizer, base.text_window, pieces)


def class_word_ids(base: BaseModel, class_word: str, encoder: TextEncoder | None = None) -> tuple[int, ...]:
    """Return the token ids of the class word, for the first text encoder or a given one.

    Raises:
        UsageError: It has none.
    """
    tokenizer = (encoder or base.encoders[0]).tokenizer
    ids = tuple(tokenizer(class_word, add_special_tokens=False).input_ids)
    if not ids or set(ids) <= set(tokenizer.all_special_ids):
        raise UsageError(f"the base model has no token for class word {class_word!r}", "use a word such as person")
    return ids


@dataclass(frozen=True)
class _Piece:
    """One text position: token id, its text, its weight; of a person also the name and the index of the vector."""

    token: int
    text: str
    weight: float = 1.0
    name: str | None = None
    slot: int = 0


def _parts(prompt: str) -> Iterator[tuple[str, str | None, float]]:
    """Yield the prompt's pieces in order: (text, None, weight) or (text, name, weight) for a placeholder."""
    for text, weight in weighted_parts(prompt):
        yield from _plain_parts(text, weight)


def _plain_parts(text: str, weight: float) -> Iterator[tuple[str, str | None, float]]:
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        yield text[end : match.start()], None, weight
        yield match.group(), match.group(1), weight
        end = match.end()
    yield text[end:], None, weight


def _check_length(words: Sequence[tuple[str, int]], used: int, room: int) -> None:
    if used <= room:
        return
    lost = [word for word, end in words if end > room]
    told = " ".join(lost[:_MOST_WORDS_TOLD]) + (" ..." if len(lost) > _MOST_WORDS_TOLD else "")
    raise PromptTooLongError(
        f"the prompt is too long by {used - room} of {room} tokens; these words fall off: {told}",
        "shorten the prompt",
    )


def _padded(tokenizer: Any, window: int, pieces: Sequence[_Piece]) -> TokenizedPrompt:
    padding = window - 2 - len(pieces)
    ids = [tokenizer.bos_token_id, *(piece.token for piece in pieces), tokenizer.eos_token_id]
    texts = [tokenizer.bos_token, *(piece.text for piece in pieces), tokenizer.eos_token]
    positions: dict[str, list[int]] = {}
    slots: dict[str, list[int]] = {}
    for position, piece in enumerate(pieces, start=1):
        if piece.name is not None:
            positions.setdefault(piece.name, []).append(position)
            slots.setdefault(piece.name, []).append(piece.slot)
    return TokenizedPrompt(
        ids=(*ids, *[tokenizer.pad_token_id] * padding),
        mask=(*[1] * len(ids), *[0] * padding),
        pieces=(*texts, *[tokenizer.pad_token] * padding),
        positions={name: tuple(found) for name, found in positions.items()},
        slots={name: tuple(found) for name, found in slots.items()},
        weights=(1.0, *(piece.weight for piece in pieces), *[1.0] * (padding + 1)),
    )


def _ordinary_id(tokenizer: Any) -> int:
    """An id that is no start, end or padding token, so that the end token is found where it is."""
    special = set(tokenizer.all_special_ids)
    return next(token for token in range(len(tokenizer)) if token not in special)


def _text_of(tokenizer: Any, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token)).replace("</w>", "")

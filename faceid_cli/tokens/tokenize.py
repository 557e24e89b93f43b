"""From a prompt with placeholders `<name>` to token ids.

Placeholders are found by parsing the prompt and kept as positions, never by text replacement. The tokenizer is not
changed. Shapes: T text positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import PromptTooLongError, UsageError

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
    """

    ids: tuple[int, ...]
    mask: tuple[int, ...]
    pieces: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]
    slots: dict[str, tuple[int, ...]]


def tokenize_prompt(base: BaseModel, prompt: str, vectors: Mapping[str, int]) -> TokenizedPrompt:
    """Turn a prompt into token ids, with `vectors[name]` positions for each placeholder `<name>`.

    Raises:
        UsageError: A placeholder of an unknown name.
        PromptTooLongError: Names the words that fall off.
    """
    tokenizer = base.tokenizer
    pieces: list[tuple[int, str, str | None, int]] = []  # id, text, name of the person, index of the vector
    words: list[tuple[str, int]] = []  # word, how many positions there are up to its end
    for text, name in _parts(prompt):
        if name is not None:
            if name not in vectors:
                raise UsageError(f"the prompt mentions <{name}>, but no such person is given")
            stand_in = _ordinary_id(tokenizer)
            pieces += [(stand_in, f"<{name}>", name, index) for index in range(vectors[name])]
            words.append((f"<{name}>", len(pieces)))
            continue
        done = len(pieces)
        ids = tokenizer(text, add_special_tokens=False).input_ids
        pieces += [(token, _text_of(tokenizer, token), None, 0) for token in ids]
        for word in text.split():
            done += len(tokenizer(word, add_special_tokens=False).input_ids)
            words.append((word, done))
    _check_length(words, len(pieces), base.text_window - 2)
    return _padded(base, pieces)


def class_word_ids(base: BaseModel, class_word: str) -> tuple[int, ...]:
    """Return the token ids of the class word.

    Raises:
        UsageError: It has none.
    """
    ids = tuple(base.tokenizer(class_word, add_special_tokens=False).input_ids)
    if not ids or set(ids) <= set(base.tokenizer.all_special_ids):
        raise UsageError(f"the base model has no token for class word {class_word!r}", "use a word such as person")
    return ids


def _parts(prompt: str) -> Iterator[tuple[str, str | None]]:
    """Yield the prompt's pieces in order: (text, None) or (text, name) for a placeholder."""
    end = 0
    for match in _PLACEHOLDER.finditer(prompt):
        yield prompt[end : match.start()], None
        yield match.group(), match.group(1)
        end = match.end()
    yield prompt[end:], None


def _check_length(words: Sequence[tuple[str, int]], used: int, room: int) -> None:
    if used <= room:
        return
    lost = [word for word, end in words if end > room]
    raise PromptTooLongError(
        f"the prompt is too long by {used - room} of {room} tokens; these words fall off: {' '.join(lost)}",
        "shorten the prompt",
    )


def _padded(base: BaseModel, pieces: Sequence[tuple[int, str, str | None, int]]) -> TokenizedPrompt:
    tokenizer = base.tokenizer
    padding = base.text_window - 2 - len(pieces)
    ids = [tokenizer.bos_token_id, *(piece[0] for piece in pieces), tokenizer.eos_token_id]
    texts = [tokenizer.bos_token, *(piece[1] for piece in pieces), tokenizer.eos_token]
    positions: dict[str, list[int]] = {}
    slots: dict[str, list[int]] = {}
    for position, (_, _, name, slot) in enumerate(pieces, start=1):
        if name is not None:
            positions.setdefault(name, []).append(position)
            slots.setdefault(name, []).append(slot)
    return TokenizedPrompt(
        ids=(*ids, *[tokenizer.pad_token_id] * padding),
        mask=(*[1] * len(ids), *[0] * padding),
        pieces=(*texts, *[tokenizer.pad_token] * padding),
        positions={name: tuple(found) for name, found in positions.items()},
        slots={name: tuple(found) for name, found in slots.items()},
    )


def _ordinary_id(tokenizer: Any) -> int:
    """An id that is no start, end or padding token, so that the end token is found where it is."""
    special = set(tokenizer.all_special_ids)
    return next(token for token in range(len(tokenizer)) if token not in special)


def _text_of(tokenizer: Any, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token)).replace("</w>", "")

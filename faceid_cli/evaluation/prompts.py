"""The fixed set of prompts that people are evaluated with, and prompt files of the user's own. Needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from faceid_cli.builtin.prompts import FACE_CHANGES, KnownPrompt, known_prompt
from faceid_cli.builtin.vocabulary import ATTRIBUTES, HELD_OBJECTS, SCENES
from faceid_cli.errors import UsageError

GROUPS = ("scene", "object", "attribute", "face change", "two of them", "three of them", "your own")
_MARK = re.compile(r"<[^<>{}]*>|\{[^<>{}]*\}")


@dataclass(frozen=True)
class EvaluationPrompt:
    """A prompt, and what its pictures must show.

    Attributes:
        text: With "{}" where the person stands, or without any mark: then it follows "a photo of" the person.
        group: One of GROUPS.
        concepts: Words of the built-in vocabulary that the prompt asks for; may be empty for prompts of the user's.
        people: How many faces a picture must show.
        subject: What stands for the person where a judge reads the prompt.
    """

    text: str
    group: str
    concepts: tuple[str, ...]
    people: int = 1
    subject: str = "a person"

    def about(self, thing: str) -> EvaluationPrompt:
        """The prompt for something of that class, which has no face."""
        return replace(self, people=max(self.people - 1, 0), subject=f"a {thing}")

    def with_mark(self, mark: str) -> str:
        """The prompt with the person as that mark (for instance "<alice>"), or as it is where it has no mark."""
        return self.text.replace("{}", mark)


def _group(prompt: KnownPrompt) -> str:
    if len(prompt.concepts) > 1:
        return ("two of them", "three of them")[len(prompt.concepts) - 2]
    if prompt.attribute:
        return "face change" if prompt.attribute in FACE_CHANGES else "attribute"
    return "scene" if prompt.scene else "object"


def _fixed(*concepts: tuple[str | None, str | None, str | None]) -> tuple[EvaluationPrompt, ...]:
    prompts = [known_prompt(*each) for each in concepts]
    return tuple(EvaluationPrompt(each.text, _group(each), each.concepts) for each in prompts)


PROMPT_SET: tuple[EvaluationPrompt, ...] = _fixed(
    ("eiffel tower", None, None),
    ("beach", None, None),
    ("mountains", None, None),
    ("library", None, None),
    ("space", None, None),
    ("night city", None, None),
    ("snow", None, None),
    ("pyramids", None, None),
    (None, "basketball", None),
    (None, "coffee cup", None),
    (None, "book", None),
    (None, "guitar", None),
    (None, "balloon", None),
    (None, "cat", None),
    (None, "apple", None),
    (None, "teddy bear", None),
    (None, None, "smiling"),
    (None, None, "mouth open"),
    (None, None, "cap"),
    (None, None, "crown"),
    (None, None, "headphones"),
    (None, None, "eyes closed"),
    (None, None, "sunglasses"),
    (None, None, "old"),
    (None, None, "beard"),
    (None, None, "white hair"),
    (None, None, "purple hair"),
    ("eiffel tower", "basketball", None),
    ("forest", "guitar", None),
    ("kitchen", "pizza", None),
    ("beach", "ice cream", None),
    ("mountains", None, "eyes closed"),
    ("desert", None, "headphones"),
    ("castle", None, "crown"),
    (None, "flowers", "smiling"),
    (None, "cat", "old"),
    ("stadium", "soccer ball", "cap"),
    ("library", "book", "beard"),
    ("snow", "coffee cup", "smiling"),
    ("city street", "balloon", "purple hair"),
    ("flower garden", "apple", "eyes closed"),
    ("underwater", "teddy bear", "mouth open"),
)
"""Scenes, objects, attributes that leave the face as it is, attributes that change it, and two or three together."""


def read_prompts(path: Path) -> tuple[EvaluationPrompt, ...]:
    """Read a prompt file: one prompt a line; empty lines and lines that begin with "#" are skipped.

    `{}`, `{name}` or `<name>` marks the person; without a mark the prompt follows "a photo of" the person. What the
    built-in judge looks for is found among the prompt's words.

    Raises:
        UsageError: No such file, no text, no prompts, or a prompt that marks more than one person.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise UsageError(f"there is no prompt file {path}", "one prompt a line") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the prompt file {path} cannot be read: {error}", "a text file in UTF-8") from error
    texts = [(number, " ".join(line.split())) for number, line in enumerate(lines, start=1)]
    prompts = [_own_prompt(path, number, text) for number, text in texts if text and not text.startswith("#")]
    if not prompts:
        raise UsageError(f"there is no prompt in {path}", "one prompt a line")
    return tuple(prompts)


def _own_prompt(path: Path, number: int, text: str) -> EvaluationPrompt:
    marks = set(_MARK.findall(text))
    if len(marks) > 1:
        raise UsageError(f"line {number} of {path} marks several people: {', '.join(sorted(marks))}", "mark one by {}")
    return EvaluationPrompt(_MARK.sub("{}", text), "your own", concepts_in(_MARK.sub(" ", text)))


def concepts_in(text: str) -> tuple[str, ...]:
    """Vocabulary words that a text asks for, as the judge names them: by their own name or as `known_prompt` says it.

    Longer phrases win: "in the city at night" asks for the night city alone.
    """
    left, found = " ".join(text.lower().split()), set()
    for phrase, concept in _phrases().items():
        left, count = re.subn(rf"(?<!\w){re.escape(phrase)}(?!\w)", " | ", left)
        if count:
            found.add(concept)
    return tuple(concept for concept in (*SCENES, *HELD_OBJECTS, *ATTRIBUTES) if concept in found)


@cache
def _phrases() -> dict[str, str]:
    """How prompts name each concept, the longest first."""
    texts = {scene: known_prompt(scene).text for scene in SCENES}
    texts |= {attribute: known_prompt(None, None, attribute).text for attribute in ATTRIBUTES}
    phrases = {text.removeprefix("a photo of {} "): concept for concept, text in texts.items()}
    phrases |= {concept: concept for concept in (*SCENES, *HELD_OBJECTS, *ATTRIBUTES)}
    return {phrase: phrases[phrase] for phrase in sorted(phrases, key=len, reverse=True)}

"""Where the people stand in a prompt: marks, names and the default sentence. Needs no torch.

A person is marked by `<alice>` or `{alice}`; `{name}` stands for the one person of `faceid generate`. Prompts leave
this module normalised: every mark is `<name>`, white space is single spaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import user_path

_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MARK = re.compile(r"<([^<>{}]*)>|\{([^<>{}]*)\}")

# Words with which a prompt goes on as one sentence after "a photo of <alice>", beside those that end in "-ing".
_CONTINUATIONS = (
    "about above across after against along alongside amid among and around as at before behind below beneath beside "
    "between beyond by close down during for from had has in inside into is like near next of off on onto opposite out "
    "outside over past standing through toward towards under underneath up upon was were when where while who whose "
    "with within without dressed seated shown surrounded covered made painted drawn lit"
)
# Nouns and names that end in "-ing" and would read as verbs.
_NOUNS_IN_ING = (
    "beijing being blessing building ceiling clothing darling drawing earring evening king lightning lightening "
    "lighting morning nothing offspring painting ring something spring sterling string swing thing viking wedding "
    "wellbeing wing"
)


def place_people(prompt: str, names: Sequence[str], others: Sequence[str] = ()) -> str:
    """Return the prompt with every person as `<name>`.

    A prompt without marks becomes a sentence about all of them: "a photo of <alice> and <bob> playing chess". A comma
    stands between only where the prompt does not go on as one sentence, that is, where its first word is neither a
    preposition or the like nor a verb in "-ing": "a photo of <alice>, oil painting, dark".

    Args:
        prompt: As the user wrote it.
        names: The people of the picture, in order; valid, existing names.
        others: What else may be marked, as `<word>` only, without being a person.

    Raises:
        UsageError: No or repeated names, marks that mean nobody, or people that the marks leave out.
    """
    _check_names(names)
    prompt = " ".join(prompt.split())
    marks = [mark.group(0) for mark in _MARK.finditer(prompt)]
    if all(mark in [f"<{word}>" for word in others] for mark in marks):
        return _default_sentence(prompt, names)
    placed = _replace_marks(prompt, names, others)
    missing = [f"<{name}>" for name in names if f"<{name}>" not in placed]
    if missing:
        raise UsageError(f"the prompt leaves out {_join(missing)}", "mark every person in the prompt, or none of them")
    return placed


def parse_embedding(text: str) -> tuple[Path, str]:
    """Read "FILE" or "FILE:WORD" as (file, the word that stands for it); the word is the file's name by default.

    Raises:
        UsageError: A word that no prompt can mark.
    """
    path, colon, word = text.rpartition(":")
    if not colon or user_path(text).is_file() or "/" in word or "\\" in word:
        path, word = text, Path(text).stem
    if not _WORD.fullmatch(word):
        raise UsageError(f"{word!r} cannot stand in a prompt", "give FILE:WORD, of letters, digits, - and _")
    return user_path(path), word


def people_in(prompt: str) -> tuple[str, ...]:
    """Names marked as `<name>` in a normalised prompt, each once, in order of appearance."""
    return tuple(dict.fromkeys(re.findall(r"<([^<>{}]+)>", prompt)))


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise UsageError("no person for the prompt", "give the name of an enrolled person")
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise UsageError(f"{_join(repeated)} is given more than once", "give each person once")


def _replace_marks(prompt: str, names: Sequence[str], others: Sequence[str]) -> str:
    """Replace all marks in one pass, so that a name never becomes part of another mark."""
    unknown: list[str] = []

    def placeholder(mark: re.Match[str]) -> str:
        word = (mark.group(1) if mark.group(1) is not None else mark.group(2)).strip()
        if word in names or word in others:
            return f"<{word}>"
        if word == "name" and len(names) == 1:
            return f"<{names[0]}>"
        unknown.append(mark.group(0))
        return mark.group(0)

    placed = _MARK.sub(placeholder, prompt)
    if unknown:
        raise UsageError(_unknown_message(unknown), _unknown_hint(unknown, names))
    return placed


def _unknown_message(unknown: Sequence[str]) -> str:
    return f"the prompt marks {_join(list(dict.fromkeys(unknown)))}, which is none of the people of this picture"


def _unknown_hint(unknown: Sequence[str], names: Sequence[str]) -> str:
    close = get_close_matches(unknown[0].strip("<>{} ").lower(), [name.lower() for name in names], n=1)
    for name in names:
        if close and name.lower() == close[0]:
            return f"did you mean <{name}>?"
    return f"write {_join([f'<{name}>' for name in names])}; other words go without < > and {{ }}"


def _default_sentence(prompt: str, names: Sequence[str]) -> str:
    subject = f"a photo of {_join([f'<{name}>' for name in names])}"
    prompt = prompt.lstrip(" ,;.")
    if not prompt:
        return subject
    return f"{subject} {prompt}" if _continues_sentence(prompt) else f"{subject}, {prompt}"


def _continues_sentence(prompt: str) -> bool:
    first = re.split(r"[\s,;.:]", prompt, maxsplit=1)[0].lower().lstrip("([")
    is_verb = len(first) > 4 and first.endswith("ing") and first not in _NOUNS_IN_ING.split()
    return is_verb or first in _CONTINUATIONS.split()


def _join(words: Sequence[str]) -> str:
    """Join as in a sentence: "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

"""A prompt about several people, taken apart: what is said of each, and what of the picture. Needs no torch.

Of "a photo of <alice> wearing a cap and <bob> with eyes closed, on the beach" Alice's own sentence is "a photo of
<alice> wearing a cap and a person, on the beach", Bob's "a photo of a person and <bob> with eyes closed, on the beach":
the others are there, or the model would draw one person across all regions, but neither their tokens nor their
attributes are. What is said behind a person belongs to that person, and to those who are joined to them ("<alice> and
<bob> playing chess"). What comes before the first person, and what follows the last one's words behind a comma or
names a place, belongs to all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from faceid_cli.orders.emphasis import plain_text

_UNNAMED = (
    "man woman person boy girl guy lady gentleman stranger friend child kid baby teenager grandmother grandfather "
    "mother father brother sister husband wife policeman policewoman soldier king queen"
)
_GARMENTS = (
    "suit dress shirt t-shirt sweater hoodie jacket coat hat cap uniform costume skirt gown robe tuxedo kimono bikini "
    "swimsuit scarf tie helmet veil apron crown wig mask"
)
_FIGURE = re.compile(
    r"<([A-Za-z0-9_-]{1,64})>"
    rf"|(?<!\bas )(?<!<)\b(?:an?|another|one)(?: [a-z-]+){{0,2}}? (?:{'|'.join(_UNNAMED.split())})\b",
    re.IGNORECASE,
)
_JOINT = re.compile(r"[\s,;&]*(?:\band\b|\bnext to\b|\bbeside\b|\bwith\b)?[\s,;&]*", re.IGNORECASE)
_TRAILING = re.compile(
    r"(?:[\s,;&.]|\b(?:and|or|with|to|at|for|from|next|beside|behind|near|by|of|while)\b)+$", re.IGNORECASE
)
_GROUP = re.compile(
    r"\b(?:two|three|four|a group of|a couple of) (?:people|persons|friends|men|women)\b,?", re.IGNORECASE
)
_PLACE = re.compile(
    r"\s(?=(?:in front of|on|in|at|under|near|inside|outside|during|against) "
    rf"(?!(?:[a-z-]+ ){{0,3}}(?:{'|'.join(_GARMENTS.split())})\b))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Figure:
    """One person of a picture.

    Attributes:
        name: As the prompt marks them; "" for one without a name.
        sentence: The prompt with the others as anybody of their class, and without what it says of them.
        alone: The same without the others: what their face is rendered again with.
        called: What they are called in the sentences of others: "a woman".
    """

    name: str
    sentence: str
    alone: str
    called: str


@dataclass(frozen=True)
class Scene:
    """A prompt about several people.

    Attributes:
        common: The prompt with everybody as somebody of their class.
        figures: The people, as the prompt names them from left to right.
    """

    common: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class _Mark:
    """Somebody at one place of a prompt.

    Attributes:
        key: Who: a name, or for one without a name the place.
        written: As the prompt has them.
        called: As somebody of their class.
        said: What stands between them and the next one.
    """

    key: str
    written: str
    called: str
    said: str


def read_scene(placed: str, class_words: Mapping[str, str]) -> Scene:
    """Take a prompt apart.

    Args:
        placed: Normalised, people as `<name>`.
        class_words: What each person is, by name; other marks are ordinary words.
    """
    if any(bracket in placed for bracket in "()[]"):  # a weight may span several people
        placed = plain_text(placed)
    found = [mark for mark in _FIGURE.finditer(placed) if mark[1] is None or mark[1] in class_words]
    if not found:
        return Scene(placed, ())
    ends = [*(mark.start() for mark in found[1:]), len(placed)]
    marks = [_mark(mark, placed[mark.end() : end], class_words) for mark, end in zip(found, ends, strict=True)]
    prefix, (own, shared) = placed[: found[0].start()], _divided(marks[-1].said)
    marks[-1] = replace(marks[-1], said=own)
    anybody = "".join(f"{mark.called if mark.key in class_words else mark.written}{mark.said}" for mark in marks)
    figures = []
    for key in dict.fromkeys(mark.key for mark in marks):
        mark = next(mark for mark in marks if mark.key == key)
        among_others = "".join(_told(marks, place, key) for place in range(len(marks)))
        own = " ".join(_TRAILING.sub("", marks[place].said) for place in _places_of(marks, key))
        sentences = (
            _plain(f"{prefix}{among_others}{shared}"),
            _plain(f"{_GROUP.sub('', prefix)}{mark.written} {own.strip(' ,;')}{shared}").replace(" ,", ","),
        )
        figures.append(Figure(key if key in class_words else "", *sentences, mark.called))
    return Scene(_plain(f"{prefix}{anybody}{shared}"), tuple(figures))


def _mark(found: re.Match[str], said: str, class_words: Mapping[str, str]) -> _Mark:
    if found[1]:
        return _Mark(found[1], found[0], _with_article(class_words[found[1]]), said)
    return _Mark(f"{found.start()} {found[0]}", found[0], _with_article(found[0].split()[-1]), said)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _divided(text: str) -> tuple[str, str]:
    """What follows the last person: their own words, and what all share."""
    cuts = [match.start() for match in (re.search(r"[,;.]", text), _PLACE.search(text)) if match is not None]
    at = min(cuts, default=len(text))
    return text[:at], text[at:]


def _told(marks: Sequence[_Mark], place: int, key: str) -> str:
    """What the sentence of one person says at a mark: of others only that they are there."""
    mark, last = marks[place], len(marks) - 1
    words = mark.written if mark.key == key else mark.called
    if _is_joined(marks, place) or place in _places_of(marks, key):
        return words + mark.said
    return words + ("" if place == last else " and " if place == last - 1 else ", ")


def _places_of(marks: Sequence[_Mark], key: str) -> list[int]:
    """Marks behind which something is said of a person: their own, or the last of those who are joined to them."""
    found = []
    for place in range(len(marks)):
        first = place
        while first > 0 and _is_joined(marks, first - 1):
            first -= 1
        if not _is_joined(marks, place) and key in {each.key for each in marks[first : place + 1]}:
            found.append(place)
    return found


def _is_joined(marks: Sequence[_Mark], place: int) -> bool:
    """Whether nothing stands between a mark and the next one but "and", a comma or the like."""
    return place < len(marks) - 1 and _JOINT.fullmatch(marks[place].said) is not None


def _plain(text: str) -> str:
    return " ".join(text.split())

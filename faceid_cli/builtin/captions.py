"""Captions of pictures, in varied phrasing; a caption mentions much of what a picture shows, seldom all of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceid_cli.builtin.draw.picture import Figure, Picture
from faceid_cli.builtin.vocabulary import HELD_OBJECTS, PLAIN_SCENES

_OPENINGS = (
    "a photo of",
    "a portrait of",
    "a picture of",
    "a photo of",
    "photo of",
    "a close-up photo of",
    "an illustration of",
    "",
)
_FACE_OPENINGS = (
    "a photo of the face of",
    "a picture of the face of",
    "a portrait of the face of",
    "a close-up photo of the face of",
    "the face of",
)
_SCENES: dict[str, tuple[str, ...]] = {
    "eiffel tower": (
        "in front of the eiffel tower",
        "at the eiffel tower",
        "with the eiffel tower in the background",
        "near the eiffel tower in paris",
        "eiffel tower",
    ),
    "beach": ("on the beach", "at the beach", "on a beach by the sea", "beach"),
    "mountains": ("in the mountains", "in front of mountains", "with mountains in the background", "mountains"),
    "forest": ("in the forest", "in a forest", "among the trees of a forest", "forest"),
    "city street": ("in a city street", "on a city street", "in the city", "city street"),
    "desert": ("in the desert", "in a desert", "with desert and a cactus behind", "desert"),
    "snow": ("in the snow", "with snow and a snowman", "in snow", "snow"),
    "space": ("in space", "in outer space", "on the moon in space", "space"),
    "library": ("in a library", "in the library", "in front of library shelves", "library"),
    "kitchen": ("in a kitchen", "in the kitchen", "kitchen"),
    "stadium": ("in a stadium", "at the stadium", "in a crowded stadium", "stadium"),
    "castle": ("in front of a castle", "at a castle", "with a castle in the background", "castle"),
    "underwater": ("underwater", "under water", "underwater with fish", "underwater"),
    "night city": ("in the city at night", "in a night city", "in front of a city at night", "night city"),
    "flower garden": ("in a flower garden", "in a garden of flowers", "in the garden", "flower garden"),
    "pyramids": ("in front of the pyramids", "at the pyramids", "with pyramids in the background", "pyramids"),
    "plain wall": ("in front of a plain wall", "on a plain background", "plain wall"),
    "living room": ("in a living room", "in the living room", "living room"),
    "brick wall": ("in front of a brick wall", "at a brick wall", "brick wall"),
}
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "eyes closed": ("with eyes closed", "with closed eyes", "eyes closed"),
    "smiling": ("smiling", "with a smile", "smiling"),
    "mouth open": ("with mouth open", "with an open mouth", "mouth open"),
    "sunglasses": ("wearing sunglasses", "with sunglasses", "sunglasses"),
    "cap": ("wearing a cap", "with a cap", "wearing a blue cap", "cap"),
    "crown": ("wearing a crown", "with a crown", "crown"),
    "headphones": ("wearing headphones", "with headphones", "headphones"),
    "old": ("as an old person", "old", "old"),
    "beard": ("with a beard", "with a full beard", "beard"),
    "white hair": ("with white hair", "white hair"),
    "purple hair": ("with purple hair", "purple hair"),
}
_ARTICLES = {"apple": "an", "flowers": "some", "pizza": "a slice of", "coffee cup": "a", "ice cream": "an"}
_LIGHTS = {
    "sunset light": ("at sunset", "in sunset light"),
    "moonlight": ("in moonlight", "by moonlight"),
    "dim light": ("in dim light", "dim light"),
}
# Of the captions that say two things of one person: "and" must not always mean a second one.
_JOINED_SHARE = 0.35
# How often a caption tells what it could. What is shown and not told teaches the model to add things unasked.
_ATTRIBUTES_TOLD, _THINGS_TOLD = 0.97, 0.99
_BOUND_SHARE = 0.4  # of the last one's things
_GROUPS = {2: ("two people", "two persons", "a couple"), 3: ("three people", "three persons", "three friends")}


def caption(picture: Picture, names: Sequence[str | None], rng: np.random.Generator, said: str | None = None) -> str:
    """A caption for the picture.

    Args:
        picture: What is shown.
        names: How to call each figure: a name, or None for a class word.
        rng: Decides the wording and what is left out.
        said: An attribute or thing that is not left out where the picture shows it, or None.
    """
    if len(picture.figures) == 1 and rng.random() < 0.16 and not picture.figures[0].held and said not in HELD_OBJECTS:
        return _face_caption(picture, names[0], rng, said)
    commas = rng.random() < 0.35
    bound = _told_with_its_holder(picture, rng)
    subject, details = _subject(picture, names, rng, said, bound)
    tail = details + ([] if bound else _things(picture, rng, commas, said))
    rng.shuffle(tail)
    if len(tail) > 1 and rng.random() < _JOINED_SHARE:
        tail[:2] = [f"{tail[0]} and {_bare(tail[1])}"]
    scene = _scene(picture, rng, commas)
    if scene:
        tail.insert(len(tail) if rng.random() < 0.7 else 0, scene)
    if picture.light in _LIGHTS and rng.random() < 0.85:
        tail.append(_pick(_LIGHTS[picture.light], rng))
    opening = _pick(_OPENINGS, rng)
    joint = ", " if commas else " "
    return joint.join([f"{opening} {subject}".strip(), *tail])


def _bare(phrase: str) -> str:
    """What comes behind "and": of "with a crown" mostly "a crown"."""
    return phrase.removeprefix("with ").removeprefix("wearing ")


def _face_caption(picture: Picture, name: str | None, rng: np.random.Generator, said: str | None) -> str:
    figure = picture.figures[0]
    parts = [f"{_pick(_FACE_OPENINGS, rng)} {name or _class_word(figure, rng)}"]
    told = [_attribute(word, rng) for word in _told(figure, rng, said)]
    if len(told) > 1 and rng.random() < _JOINED_SHARE:
        told[:2] = [f"{told[0]} and {_bare(told[1])}"]
    parts += told
    if rng.random() < 0.5 and (scene := _scene(picture, rng, False)):
        parts.append(scene)
    return " ".join(parts)


def _told(figure: Figure, rng: np.random.Generator, said: str | None) -> list[str]:
    """Which of a figure's attributes are told: most, `said` always."""
    return [word for word in sorted(figure.attributes) if rng.random() < _ATTRIBUTES_TOLD or word == said]


def _told_with_its_holder(picture: Picture, rng: np.random.Generator) -> bool:
    """Whether a caption of several people tells the held thing beside its holder's name.

    Behind all names it always means that the last one holds it: a caption that leaves open who does, teaches the model
    to give one to each.
    """
    *others, last = picture.figures
    return any(figure.held for figure in others) or bool(others and last.held and rng.random() < _BOUND_SHARE)


def _subject(
    picture: Picture, names: Sequence[str | None], rng: np.random.Generator, said: str | None, bound: bool
) -> tuple[str, list[str]]:
    """The people, and what is said of a single one of them."""
    figures = picture.figures
    if len(figures) == 1:
        return _single(figures[0], names[0], rng, said)
    if not any(names) and said is None and not bound and rng.random() < 0.6:
        return _pick(_GROUPS[len(figures)], rng), []
    people = []
    for figure, name in zip(figures, names, strict=True):
        words = [_attribute(word, rng) for word in _told(figure, rng, said)]
        if bound and figure.held:
            words.append(_holding(figure.held, rng))
        people.append(" ".join([name or _class_word(figure, rng), *words]))
    joined = ", ".join(people[:-1]) + (" and " if len(people) == 2 or rng.random() < 0.7 else ", and ") + people[-1]
    return joined, []


def _single(figure: Figure, name: str | None, rng: np.random.Generator, said: str | None) -> tuple[str, list[str]]:
    words = _told(figure, rng, said)
    subject = name or _class_word(figure, rng)
    if "old" in words and rng.random() < 0.5:
        words.remove("old")
        subject = (
            f"old {name}"
            if name
            else f"an old {_pick(('man', 'person') if not figure.person.woman else ('woman', 'person'), rng)}"
        )
    details = [_attribute(word, rng) for word in words]
    if rng.random() < 0.35:
        details.append(f"{_pick(('in', 'wearing'), rng)} a {figure.garment_color} {figure.garment}")
    if name is None and rng.random() < 0.15:
        details.append(_trait(figure, rng))
    return subject, details


def _things(picture: Picture, rng: np.random.Generator, commas: bool, said: str | None) -> list[str]:
    if picture.shared == "chess":
        return [_pick(("playing chess", "at a chess board", "chess"), rng)] if rng.random() < 0.92 else []
    for figure in picture.figures:
        if figure.held and (rng.random() < _THINGS_TOLD or figure.held == said):
            return [figure.held if commas and rng.random() < 0.3 else _holding(figure.held, rng)]
    return []


def _holding(thing: str, rng: np.random.Generator) -> str:
    verb = _pick(("holding", "holding", "with", "carrying"), rng)
    return f"{verb} {_ARTICLES.get(thing, 'a')} {thing}"


def _scene(picture: Picture, rng: np.random.Generator, commas: bool) -> str | None:
    if rng.random() > (0.55 if picture.scene in PLAIN_SCENES else 0.90):
        return None
    forms = _SCENES[picture.scene]
    return forms[-1] if commas and rng.random() < 0.5 else _pick(forms, rng)


def _attribute(word: str, rng: np.random.Generator) -> str:
    return _pick(_ATTRIBUTES[word], rng)


def _class_word(figure: Figure, rng: np.random.Generator) -> str:
    return _pick(
        (
            "a woman" if figure.person.woman else "a man",
            "a person",
            "person",
            "woman" if figure.person.woman else "man",
        ),
        rng,
    )


def _trait(figure: Figure, rng: np.random.Generator) -> str:
    """One of the person's own traits; said rarely, so that traits stay bound to names."""
    person = figure.person
    traits = []
    if person.glasses != "none":
        traits.append("with glasses")
    if person.freckles:
        traits.append("with freckles")
    if person.hair_style == "bald":
        traits.append("with a bald head")
    elif not figure.attributes & {"white hair", "purple hair", "old"}:
        traits.append(f"with {_hair_word(person.hair)} hair")
    return _pick(tuple(traits), rng) if traits else "with a plain look"


def _hair_word(hair: tuple[float, float, float]) -> str:
    brightness = sum(hair) / 3
    if hair[0] > 1.6 * hair[1] and brightness > 0.2:
        return "red"
    return "blond" if brightness > 0.55 else "black" if brightness < 0.16 else "brown"


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]

"""Prompts about two and three people, whose truth the built-in judge can tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """A prompt whose truth is known.

    Attributes:
        text: With {0}, {1} and {2} for the people.
        scene: A word of `vocabulary.SCENES`, or "".
        thing: A word of `vocabulary.OBJECTS`, or "".
        attributes: What each person is to have, from left to right; "" for nothing.
    """

    text: str
    scene: str = ""
    thing: str = ""
    attributes: tuple[str, ...] = ()


PROMPTS = {
    2: (
        Asked("a photo of {0} and {1} in front of the eiffel tower", "eiffel tower"),
        Asked("a photo of {0} and {1} playing chess in a library", "library", "chess"),
        Asked("a photo of {0} and {1} on the beach at sunset", "beach"),
        Asked("a photo of {0} and {1}, castle", "castle"),
        Asked(
            "a photo of {0} wearing a cap and {1} with eyes closed, on the beach", "beach", "", ("cap", "eyes closed")
        ),
        Asked("a photo of {0} with purple hair and {1} smiling, in the snow", "snow", "", ("purple hair", "smiling")),
        Asked("a photo of {0} wearing a crown and {1} wearing headphones", "", "", ("crown", "headphones")),
        Asked(
            "a photo of {0} with eyes closed and {1} with mouth open, forest",
            "forest",
            "",
            ("eyes closed", "mouth open"),
        ),
        Asked(
            "a photo of {0} and {1} with white hair, in a city street", "city street", "", ("white hair", "white hair")
        ),
        Asked("a photo of {0} smiling and {1} wearing a crown, pyramids", "pyramids", "", ("smiling", "crown")),
    ),
    3: (
        Asked("a photo of {0}, {1} and {2} in front of the eiffel tower", "eiffel tower"),
        Asked("a photo of {0}, {1} and {2} playing chess in a library", "library", "chess"),
        Asked("a photo of {0}, {1} and {2} on the beach", "beach"),
        Asked("a photo of {0}, {1} and {2}, castle", "castle"),
        Asked(
            "a photo of {0} wearing a cap, {1} smiling and {2} with eyes closed, on the beach",
            "beach",
            "",
            ("cap", "smiling", "eyes closed"),
        ),
        Asked(
            "a photo of {0} smiling, {1} wearing a crown and {2} wearing headphones",
            "",
            "",
            ("smiling", "crown", "headphones"),
        ),
        Asked("a photo of {0}, {1} wearing a cap and {2}, in the snow", "snow", "", ("", "cap", "")),
        Asked("a photo of {0} with purple hair, {1} and {2}, forest", "forest", "", ("purple hair", "", "")),
        Asked("a photo of {0}, {1} and {2} in a city street", "city street"),
        Asked("a photo of {0}, {1} and {2} in the mountains", "mountains"),
    ),
}

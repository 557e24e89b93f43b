"""Everything a caption of the portrait world can name. Keys are the plain words a judge reports."""

from __future__ import annotations

SCENES: tuple[str, ...] = (
    "eiffel tower",
    "beach",
    "mountains",
    "forest",
    "city street",
    "desert",
    "snow",
    "space",
    "library",
    "kitchen",
    "stadium",
    "castle",
    "underwater",
    "night city",
    "flower garden",
    "pyramids",
)
PLAIN_SCENES: tuple[str, ...] = ("plain wall", "living room", "brick wall")
ALL_SCENES: tuple[str, ...] = SCENES + PLAIN_SCENES

HELD_OBJECTS: tuple[str, ...] = (
    "basketball",
    "soccer ball",
    "coffee cup",
    "book",
    "flowers",
    "guitar",
    "balloon",
    "cat",
    "apple",
    "pizza",
    "teddy bear",
    "ice cream",
)
SHARED_OBJECTS: tuple[str, ...] = ("chess",)
OBJECTS: tuple[str, ...] = HELD_OBJECTS + SHARED_OBJECTS

# Each belongs to one person of a picture; a picture may show several of them at once.
ATTRIBUTES: tuple[str, ...] = (
    "eyes closed",
    "smiling",
    "mouth open",
    "sunglasses",
    "cap",
    "crown",
    "headphones",
    "old",
    "beard",
    "white hair",
    "purple hair",
)

COLORS: dict[str, str] = {
    "red": "#c8413b",
    "blue": "#3f67b5",
    "green": "#4a8f5a",
    "yellow": "#e0b93f",
    "black": "#34363d",
    "white": "#e9e7e1",
    "orange": "#dd7f3a",
    "pink": "#dc8fa8",
}
GARMENTS: tuple[str, ...] = ("t-shirt", "sweater", "suit", "hoodie", "striped shirt", "dress")
LIGHTS: tuple[str, ...] = ("daylight", "sunset light", "moonlight", "dim light")
# How many people have a name that the text encoder knows.
ROSTER_SIZE = 2048

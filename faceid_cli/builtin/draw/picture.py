"""What a picture shows, as data: the truth that captions and judges are trained on."""

from __future__ import annotations

from dataclasses import dataclass

from faceid_cli.builtin.people import Person


@dataclass(frozen=True)
class Figure:
    """One person as they appear in one picture.

    Attributes:
        person: Who it is.
        x, y: Centre of the head, in units of a 128 x 128 picture.
        scale: Size; at 1 a head is about 42 units wide and 56 high.
        tilt: Rotation of the head, degrees.
        gaze: Direction of the eyes, -1 (left) to 1 (right).
        attributes: Words of vocabulary.ATTRIBUTES that apply beyond the person's own traits.
        garment, garment_color: Clothing.
        held: Word of vocabulary.HELD_OBJECTS, or None.
        hand: Side on which the object is held, -1 or 1.
    """

    person: Person
    x: float = 64.0
    y: float = 52.0
    scale: float = 0.9
    tilt: float = 0.0
    gaze: float = 0.0
    attributes: frozenset[str] = frozenset()
    garment: str = "t-shirt"
    garment_color: str = "blue"
    held: str | None = None
    hand: int = 1

    @property
    def bearded(self) -> bool:
        """Whether a beard is seen, by nature or by caption."""
        return "beard" in self.attributes or self.person.beard == "full"


@dataclass(frozen=True)
class Picture:
    """A whole picture.

    Attributes:
        figures: The people, from left to right (one to three).
        scene: Word of vocabulary.ALL_SCENES.
        light: Word of vocabulary.LIGHTS.
        shared: Word of vocabulary.SHARED_OBJECTS, or None.
        feature_x: Where the scene's main feature stands, in units.
        variant: Seed of the scene's small details.
    """

    figures: tuple[Figure, ...]
    scene: str = "plain wall"
    light: str = "daylight"
    shared: str | None = None
    feature_x: float = 96.0
    variant: int = 0

"""Which face of a picture is whose: faces and people are matched one to one, by likeness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

from PIL import Image

from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.types import Face

_MOST_FACES = 6
"""The largest ones: so few can be matched by trying every way, and the best is found as surely as by the Hungarian
method."""


@dataclass(frozen=True)
class Match:
    """One person of a picture.

    Attributes:
        name: Who.
        face: Their face; None where no face is left for them.
        similarity: Mean cosine similarity of that face to their photos, -1 to 1; 0 without a face.
        rival: Of the others in the picture, how alike the face is to the one whom it is most like; -1 without others.
        percent: The similarity between strangers (0) and the person's own photos (100); None where not known.
    """

    name: str
    face: Face | None
    similarity: float
    rival: float
    percent: float | None

    @property
    def is_theirs(self) -> bool:
        """Whether the face is more like them than like anybody else in the picture."""
        return self.face is not None and self.similarity > self.rival


def matched(judge: PictureJudge, image: Image.Image, people: Mapping[str, Likeness]) -> list[Match]:
    """Match faces to people so that all likenesses together are highest; who gets no face of their own is like nobody.

    Args:
        judge: Finds and embeds faces.
        image: The picture.
        people: What each person's face is compared with, by name.
    """
    faces = sorted(judge.find_faces(image), key=lambda face: -face.box.area)[:_MOST_FACES]
    embedded = [judge.embed(image, face) for face in faces]
    names = list(people)
    table = {name: [likeness.similarity(face) for face in embedded] for name, likeness in people.items()}
    places = [*range(len(faces)), *[-1] * max(len(names) - len(faces), 0)]

    def likeness_of(name: str, place: int) -> float:
        return 0.0 if place < 0 else table[name][place]

    best = max(
        permutations(places, len(names)),
        key=lambda chosen: sum(likeness_of(name, place) for name, place in zip(names, chosen, strict=True)),
    )
    return [
        Match(
            name,
            None if place < 0 else faces[place],
            likeness_of(name, place),
            max((table[other][place] for other in names if other != name), default=-1.0) if place >= 0 else -1.0,
            people[name].percent(likeness_of(name, place)),
        )
        for name, place in zip(names, best, strict=True)
    ]

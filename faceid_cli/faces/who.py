"""Who of the faces in several photos is meant: the one person whom most photos show. Pure functions on embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceid_cli.types import Face

_BACKGROUND_SHARE = 0.4
"""Faces lower than this share of the photo's highest one are people in the background."""


@dataclass(frozen=True)
class PhotoFaces:
    """The faces of one photo.

    Attributes:
        faces: From left to right.
        embeddings: One unit vector a face, or none where faces cannot be compared.
    """

    faces: tuple[Face, ...]
    embeddings: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Choice:
    """Which face of a photo is meant.

    Attributes:
        face: Its index, or None where the photo does not show the person, or where that cannot be told.
        reason: Why it is None: "unclear" or "other"; else "".
    """

    face: int | None
    reason: str = ""


@dataclass(frozen=True)
class Chosen:
    """The person, photo by photo.

    Attributes:
        choices: One for each photo.
        doubtful: Whether the photos may show different people, and none of them more often than the others.
    """

    choices: tuple[Choice, ...]
    doubtful: bool = False


def choose_person(photos: Sequence[PhotoFaces], same_person: float) -> Chosen:
    """Choose one face in each photo, so that all are the same person.

    The person is the one whom most of the photos show. Where two people are shown equally often, photos with one face
    count first, then those in which only one face is not in the background; the rest stays unclear.

    Args:
        photos: At least one face in each.
        same_person: Similarity of two embeddings from which they count as one person's.
    """
    if not photos or not all(photo.embeddings for photo in photos):
        return Chosen(tuple(_without_comparing(photo) for photo in photos))
    counted = [_votes(photos, place, index, same_person) for place, index in _all_faces(photos)]
    most = max(votes for votes, _ in counted)
    if most == 1:
        return _nobody_twice(photos)
    leaders = [center for votes, center in counted if votes == most]
    centers = _different(leaders, same_person)
    if len(centers) > 1:
        centers = _shown_alone(photos, centers, same_person)
    if len(centers) > 1:
        return Chosen(tuple(_without_comparing(photo, clear_only=True) for photo in photos), doubtful=True)
    return Chosen(tuple(_nearest(photo, centers[0], same_person) for photo in photos))


def _all_faces(photos: Sequence[PhotoFaces]) -> list[tuple[int, int]]:
    return [(place, index) for place, photo in enumerate(photos) for index in range(len(photo.faces))]


def _votes(photos: Sequence[PhotoFaces], place: int, index: int, same_person: float) -> tuple[int, NDArray[np.float32]]:
    """In how many photos this face's person appears, and the middle of those faces' embeddings."""
    own = photos[place].embeddings[index]
    alike = [own]
    for other_place, photo in enumerate(photos):
        if other_place != place:
            best = max(photo.embeddings, key=lambda other: float(own @ other))
            if float(own @ best) >= same_person:
                alike.append(best)
    center = np.mean(alike, axis=0)
    return len(alike), np.asarray(center / max(float(np.linalg.norm(center)), 1e-9), dtype=np.float32)


def _different(centers: Sequence[NDArray[np.float32]], same_person: float) -> list[NDArray[np.float32]]:
    """One center for each person among them."""
    people: list[NDArray[np.float32]] = []
    for center in centers:
        if all(float(center @ known) < same_person for known in people):
            people.append(center)
    return people


def _shown_alone(
    photos: Sequence[PhotoFaces], centers: Sequence[NDArray[np.float32]], same_person: float
) -> list[NDArray[np.float32]]:
    """The people whom the most photos show alone, or alone in the foreground: they are whom the photos are about."""

    def times(center: NDArray[np.float32]) -> int:
        alone = 0
        for photo in photos:
            prominent = _prominent(photo)
            alone += len(prominent) == 1 and float(photo.embeddings[prominent[0]] @ center) >= same_person
        return alone

    counts = [times(center) for center in centers]
    return [center for center, count in zip(centers, counts, strict=True) if count == max(counts)]


def _nobody_twice(photos: Sequence[PhotoFaces]) -> Chosen:
    """No two faces are alike: each photo's one clear face is taken, since likeness can fail."""
    choices = tuple(_without_comparing(photo) for photo in photos)
    return Chosen(choices, doubtful=sum(choice.face is not None for choice in choices) > 1)


def _nearest(photo: PhotoFaces, center: NDArray[np.float32], same_person: float) -> Choice:
    similarity = [float(embedding @ center) for embedding in photo.embeddings]
    best = int(np.argmax(similarity))
    return Choice(best) if similarity[best] >= same_person else Choice(None, "other")


def _without_comparing(photo: PhotoFaces, clear_only: bool = False) -> Choice:
    """The only face, or the only one that is not in the background."""
    prominent = list(range(len(photo.faces))) if clear_only else _prominent(photo)
    return Choice(prominent[0]) if len(prominent) == 1 else Choice(None, "unclear")


def _prominent(photo: PhotoFaces) -> list[int]:
    heights = [face.box.height for face in photo.faces]
    return [index for index, height in enumerate(heights) if height >= _BACKGROUND_SHARE * max(heights)]

"""What a picture of several people is worth, in the built-in world: each right, apart, obeyed, and not pasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.composed_prompts import Asked
from faceid_cli.builtin.judge import FACE_PX, Judge, alignment
from faceid_cli.evaluation.assigning import matched
from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.types import Face

LEAST_PERCENT, BLENDED = 40.0, 0.3
"""Who is less alike, between a stranger (0) and another drawing (100), is not recognised; whose second best likeness is
nearer to the best than so much of it is a blend."""
_LEAST_PROBABILITY = 0.5
_BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Score:
    """One picture.

    Attributes:
        faces: How many were found.
        are_right: For each person, from left to right as the prompt names them, whether their face is on their own
            side, recognised, and more like them than like any other person of the picture.
        is_right: Whether all of them are, and nobody else is there.
        similarities: Of each person's face to other drawings of them; 0 without a face.
        confusion: Mean over faces of (best - second) / best likeness among the people; 1 is nobody else at all.
        blends: Share of the faces in which that is below BLENDED.
        swaps: Share of the attributes that were asked for of one person and that another one has, who was not asked to.
        obeyed: Share of what was asked for, scene, thing and attributes of the right person, that is there.
        asked: How many attributes of single people were asked for.
        copies: Of each person who is there the highest correlation of their face's pixels with a photo that they were
            learned from, faces aligned: 1 is the photo itself.
    """

    faces: int
    are_right: tuple[bool, ...]
    is_right: bool
    similarities: tuple[float, ...]
    confusion: float | None
    blends: float | None
    swaps: float | None
    obeyed: float | None
    asked: int
    copies: tuple[float, ...] = ()


def aligned_face(image: Image.Image, face: Face) -> NDArray[np.float64]:
    """A face's grey pixels, (4096,), of mean 0 and length 1."""
    matrix = alignment(np.asarray(face.landmarks, dtype=np.float64))
    cut = image.convert("L").transform((FACE_PX, FACE_PX), Image.Transform.AFFINE, tuple(matrix.flatten()), _BILINEAR)
    pixels = np.asarray(cut, dtype=np.float64).flatten()
    pixels -= pixels.mean()
    return np.asarray(pixels / max(float(np.linalg.norm(pixels)), 1e-9))


def score_picture(
    judge: PictureJudge,
    networks: Judge,
    image: Image.Image,
    people: Mapping[str, Likeness],
    asked: Asked,
    photos: Mapping[str, Sequence[NDArray[np.float64]]] | None = None,
) -> Score:
    """Score a picture of people, who are given from left to right; `photos` are faces that they were learned from."""
    faces = sorted(judge.find_faces(image), key=lambda face: face.box.center[0])
    found = matched(judge, image, people)
    are_right = tuple(
        match.face is not None
        and match.face in faces
        and faces.index(match.face) == place
        and match.is_theirs
        and (match.percent or 0) >= LEAST_PERCENT
        for place, match in enumerate(found)
    )
    confusions = [_confusion([each.similarity(judge.embed(image, face)) for each in people.values()]) for face in faces]
    seen = [networks.attributes(image, face) for face in faces]
    swaps, own = _attributes(asked.attributes, seen, len(people))
    there = [*own]
    if asked.scene:
        there.append(max(networks.scenes(image).items(), key=lambda each: each[1])[0] == asked.scene)
    if asked.thing:
        there.append(networks.objects(image)[asked.thing] >= _LEAST_PROBABILITY)
    return Score(
        len(faces),
        are_right,
        all(are_right) and len(faces) == len(people),
        tuple(round(match.similarity, 4) for match in found),
        float(np.mean(confusions)) if confusions else None,
        float(np.mean([each < BLENDED for each in confusions])) if confusions else None,
        float(np.mean(swaps)) if swaps else None,
        float(np.mean(there)) if there else None,
        len(swaps),
        tuple(
            round(max(float(photo @ aligned_face(image, match.face)) for photo in photos[match.name]), 4)
            for match in found
            if photos and match.face is not None
        ),
    )


def _confusion(similarities: list[float]) -> float:
    best, second = sorted((max(each, 0.0) for each in similarities), reverse=True)[:2]
    return (best - second) / best if best > 0 else 0.0


def _attributes(asked: tuple[str, ...], seen: list[dict[str, float]], people: int) -> tuple[list[bool], list[bool]]:
    """For each attribute whether somebody else has it, and whether its own person does."""
    swaps, own = [], []
    for place, word in enumerate(asked):
        if not word:
            continue
        has = [each[word] >= _LEAST_PROBABILITY for each in seen]
        own.append(place < len(has) and bool(has[place]))
        others = [other for other in range(people) if other != place and asked[other] != word]
        if others:
            swaps.append(any(other < len(has) and has[other] for other in others))
    return swaps, own

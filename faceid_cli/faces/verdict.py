"""What is said of each photo, and of all of them together: fit to learn from or not, and why. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Literal

from faceid_cli.errors import PhotoError
from faceid_cli.faces.quality import HASH_BITS, Quality, hash_distance

Grade = Literal["good", "fair", "left out"]

NEAR_COPY_BITS = 16
"""Photos whose hashes differ in at most so many of HASH_BITS bits are the same shot. Measured: another size, JPEG of
quality 30 and 30 % more light change up to 13; different shots of one person 28 or more, mostly about 100."""

ENOUGH_PHOTOS = 3
"""From so many good photos on, poor ones are left out."""

_LEAST_BRIGHTNESS = 0.3
_MOST_CLIPPED = 0.2
_MOST_TURN = 0.35
_MOST_HIDDEN = 0.35
# Measured on faces of 120 to 340 px: sharp ones 0.23 to 0.41; blurred by 2 % of their height 0.6 to 0.75.
_SOFT, _BLURRED = 0.6, 0.75
_FEW_PIXELS_SHARE = 0.225  # of the crop's side
_UNIFORM_SHARE = 0.2


@dataclass(frozen=True)
class PhotoVerdict:
    """What became of a photo file.

    Attributes:
        path: Where the file is.
        grade: "good"; "fair" where it is used in spite of flaws; "left out".
        reasons: The flaws, or why it was left out, each in a few words.
        faces: Number of faces found.
        face: Number of the chosen face from the left, from 1, or None.
        quality: What was measured of that face, or None.
        problem: The error that this file alone would have caused, where there is one.
    """

    path: Path
    grade: Grade
    reasons: tuple[str, ...] = ()
    faces: int = 0
    face: int | None = None
    quality: Quality | None = None
    problem: PhotoError | None = None


def flaws_of(quality: Quality, size_px: int) -> tuple[list[str], bool]:
    """The flaws of a face in words, and whether they are bad enough to leave the photo out where there are others.

    Args:
        quality: What was measured.
        size_px: Side of the training crop; faces much smaller than in it have to be enlarged.
    """
    found, poor = [], False
    if quality.face_px < _FEW_PIXELS_SHARE * size_px:
        found.append(f"the face is only {quality.face_px:.0f} px high")
        poor = quality.face_px < 0.5 * _FEW_PIXELS_SHARE * size_px
    if quality.blur >= _SOFT:
        found.append("blurred" if quality.blur >= _BLURRED else "soft")
        poor = poor or quality.blur >= _BLURRED
    if quality.brightness < _LEAST_BRIGHTNESS:
        found.append("very dark")
    if quality.clipped > _MOST_CLIPPED:
        found.append("burnt out")
    if quality.turn is not None and abs(quality.turn) > _MOST_TURN:
        found.append("turned far to the side")
    if quality.hidden is not None and quality.hidden > _MOST_HIDDEN:
        found.append("partly hidden")
    return found, poor


def near_copies(
    fingerprints: Sequence[int], qualities: Sequence[Quality | None], flaws: Sequence[int], enough_px: float
) -> dict[int, int]:
    """Which photos are near copies of a better one: index of the copy -> index of the one that is kept.

    The better one has fewer flaws, then the clearly sharper face, then the larger one, then comes first.

    Args:
        fingerprints: Of the photos, as `quality.likeness_hash` makes them.
        qualities: Of the chosen faces.
        flaws: How many each has.
        enough_px: Faces higher than this are as good as any: they are shrunk to it.
    """

    def worse(index: int) -> tuple[int, float, float, int]:
        quality = qualities[index]
        if quality is None:
            return (flaws[index], 1.0, 0.0, index)
        return (flaws[index], round(quality.blur, 1), -min(quality.face_px, enough_px), index)

    kept: list[int] = []
    copies: dict[int, int] = {}
    for index in sorted(range(len(fingerprints)), key=worse):
        alike = [other for other in kept if hash_distance(fingerprints[index], fingerprints[other]) <= NEAR_COPY_BITS]
        if alike:
            copies[index] = alike[0]
        else:
            kept.append(index)
    return copies


def warnings_of(
    verdicts: Sequence[PhotoVerdict], fingerprints: Sequence[int], doubtful: bool, compared: bool = True
) -> list[str]:
    """What to tell about the usable photos as a set.

    Args:
        verdicts: Of all photos.
        fingerprints: Of the usable ones, see `quality.likeness_hash`.
        doubtful: Whether they may show different people.
        compared: Whether that was looked at.
    """
    found = []
    if not compared and len(fingerprints) > 1:
        found.append(
            "faces were not compared, so photos of somebody else are not noticed: the weights for comparing them "
            "are missing (faceid weights fetch face-recognition)"
        )
    if doubtful:
        found.append("the photos may show different people: no two faces are clearly the same one")
    if len(verdicts) > 1 and 0 < len(fingerprints) < ENOUGH_PHOTOS:
        found.append(f"only {len(fingerprints)} of {len(verdicts)} photos can be used: five or more work better")
    if len(fingerprints) >= ENOUGH_PHOTOS:
        distances = [hash_distance(first, second) for first, second in combinations(fingerprints[:50], 2)]
        if median(distances) < _UNIFORM_SHARE * HASH_BITS:
            found.append("the photos are very much alike: other places, light and poses work better")
    return found


def short_reason(error: PhotoError, path: Path) -> str:
    """An error as a reason beside the file's name."""
    text = error.message.replace(f" in {path}", "").removeprefix(f"{path} ").removeprefix("is ")
    return text.replace(f" {path}", "").replace(f"{path}", "it").rstrip(":")


def folder_verdict(problem: PhotoError) -> PhotoVerdict:
    """The verdict on a subfolder that may not be read."""
    path = Path(problem.message.removeprefix("cannot read folder ").rpartition(":")[0])
    return PhotoVerdict(path, "left out", ("cannot be read",), problem=problem)


def nothing_left(verdicts: Sequence[PhotoVerdict]) -> PhotoError:
    """The error for photos of which none can be used: the first one's, of their common kind."""
    problems = [verdict.problem for verdict in verdicts if verdict.problem is not None]
    first = problems[0] if problems else PhotoError("there is no photo to learn from")
    if len(verdicts) == 1:
        return first
    kind = type(first) if len({type(problem) for problem in problems}) == 1 else PhotoError
    return kind(
        f"none of {len(verdicts)} photos can be used: {first.message}",
        first.hint if kind is not PhotoError else "`faceid photos check` shows what is wrong with each",
    )

"""Whether a picture is as like its people as was asked for, scored as an evaluation does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from faceid_cli.errors import UsageError
from faceid_cli.evaluation.assigning import matched
from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.references import is_thing, likeness_of
from faceid_cli.evaluation.run import largest_face
from faceid_cli.orders.checks import least_likeness
from faceid_cli.types import Identity


@dataclass(frozen=True)
class Alike:
    """How like its people a picture is.

    Attributes:
        similarity: Mean cosine similarity to the photos, of the person who is least alike; 0 without a face.
        percent: The same between strangers (0) and the person's own photos (100); None where not known.
        is_enough: Whether that is what was asked for.
    """

    similarity: float
    percent: float | None
    is_enough: bool


class Threshold:
    """Scores pictures of some people.

    Args:
        judge: Finds and embeds faces.
        people: The people in the pictures.
        least: What is asked for: a similarity such as "0.5", or "70%".
        known: What each is compared with, by id, where that was found out elsewhere; None to look for their photos.

    Raises:
        UsageError: Somebody who has no face, or no photos to compare with; percent that cannot be known.
    """

    def __init__(
        self,
        judge: PictureJudge,
        people: Sequence[Identity],
        least: str,
        known: Mapping[str, Likeness | None] | None = None,
    ) -> None:
        self._judge, (self._least, self._in_percent) = judge, least_likeness(least)
        self._likenesses = [self._likeness(person, known) for person in people]
        self.known = {person.id: likeness for person, likeness in zip(people, self._likenesses, strict=True)}
        """What each is compared with, by id."""

    def score(self, image: Image.Image) -> Alike:
        """Score one picture: of one person its largest face, of several the faces that suit them best."""
        found = [
            (similarity, likeness.percent(similarity))
            for likeness, similarity in zip(self._likenesses, self._similarities(image), strict=True)
        ]
        similarity, percent = min(found, key=lambda each: each[0])
        measured = [percent if self._in_percent else similarity for similarity, percent in found]
        return Alike(similarity, percent, all(each is not None and each >= self._least for each in measured))

    def shown(self, alike: Alike) -> str:
        """A score in the unit in which it was asked for."""
        return f"{alike.percent or 0:.0f}%" if self._in_percent else f"{alike.similarity:.2f}"

    def _likeness(self, person: Identity, known: Mapping[str, Likeness | None] | None) -> Likeness:
        if known is None and is_thing(person):
            raise UsageError(
                f"{person.name} was learned as {person.class_word}, and --min-likeness compares faces", "leave it out"
            )
        likeness = likeness_of(person, self._judge, (), True, None) if known is None else known.get(person.id)
        if likeness is None:
            raise UsageError(
                f"no photos of {person.name} can be found, so --min-likeness cannot tell who is alike",
                "put them back, or leave it out",
            )
        if self._in_percent and likeness.percent(0.0) is None:
            raise UsageError(f"of {person.name} no percent is known", "give --min-likeness as similarity, such as 0.5")
        return likeness

    def _similarities(self, image: Image.Image) -> list[float]:
        if len(self._likenesses) == 1:
            face = largest_face(self._judge.find_faces(image))
            return [0.0 if face is None else self._likenesses[0].similarity(self._judge.embed(image, face))]
        people = {str(place): likeness for place, likeness in enumerate(self._likenesses)}
        return [match.similarity for match in matched(self._judge, image, people)]

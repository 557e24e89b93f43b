"""Likeness in percent: where a similarity lies between strangers and a person's own photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.scores import Embedding, mean_similarity, upper_bound


@dataclass(frozen=True)
class Likeness:
    """What a picture's face is compared with, and what the similarity means.

    Attributes:
        references: Faces of the person, each (E,); at least one.
        strangers: Similarity that means 0 %: the mean one of strangers to the person.
        own: Similarity that means 100 %: of the person's own photos to each other; None if not known.
        details: How much detail the faces in the photos have, see `overlooked.face_details`; empty if not known.
    """

    references: tuple[Embedding, ...]
    strangers: float
    own: float | None
    details: Mapping[int, float] = field(default_factory=dict)

    def similarity(self, face: Embedding) -> float:
        """Mean cosine similarity to the person's photos, -1 to 1."""
        return mean_similarity(face, self.references)

    def percent(self, similarity: float) -> float | None:
        """0 for a stranger, 100 for another photo of the person; beyond both is possible. None where not known."""
        if self.own is None or not self.own > self.strangers:
            return None
        return 100 * (similarity - self.strangers) / (self.own - self.strangers)


def likeness_to(
    judge: PictureJudge, references: Sequence[Embedding], details: Mapping[int, float] | None = None
) -> Likeness:
    """Calibrate a judge for one person; `details` are those of the faces in the photos.

    Of a single photo, the similarity between photos of one person is the judge's typical one.

    Raises:
        ValueError: No references.
    """
    if not references:
        raise ValueError("nothing to compare with")
    own = upper_bound(references) if len(references) > 1 else judge.typical_similarity()
    return Likeness(tuple(references), judge.stranger_similarity(references), own, dict(details or {}))

"""Scores of rendered pictures: pure functions of embeddings, recognised concepts and attention maps.

    ID              cosine similarity of face embeddings to true pictures of the person; 0 where no face is found
    concepts        share of the prompt's concepts that are recognised in the picture
    ID(P)           ID where all concepts of the prompt are present, else 0, averaged over all pictures
    attention share share of the person's attention that falls inside the face box (the paper's claim, section 3.3)

Shapes: E width of a face embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceid_cli.attention.maps import share_inside, word_map
from faceid_cli.attention.record import AttentionMap
from faceid_cli.types import Box

Embedding = NDArray[np.floating[Any]]
"""A face embedding (E,), of any length but zero."""


@dataclass(frozen=True)
class PictureScore:
    """Scores of one picture.

    Attributes:
        similarity: Cosine similarity to the person, -1 to 1; None where no face was found.
        concepts: Which concepts of the prompt are present; empty for a prompt that asks for none.
        attention_share: 0 to 1, or None where it was not recorded.
    """

    similarity: float | None
    concepts: Mapping[str, bool] = field(default_factory=dict)
    attention_share: float | None = None

    @property
    def identity(self) -> float:
        """ID: the similarity, 0 where no face was found."""
        return 0.0 if self.similarity is None else self.similarity

    @property
    def obeys(self) -> bool:
        """Whether every concept of the prompt is present."""
        return all(self.concepts.values())


def cosine_similarity(first: Embedding, second: Embedding) -> float:
    """Cosine of the angle between two embeddings, -1 to 1.

    Raises:
        ValueError: A zero vector, or vectors of different widths.
    """
    a, b = (np.asarray(vector, dtype=np.float64).ravel() for vector in (first, second))
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    if a.shape != b.shape or not length > 0:
        raise ValueError(f"cannot compare embeddings of shapes {a.shape} and {b.shape} and lengths' product {length}")
    return float(np.clip(a @ b / length, -1.0, 1.0))


def mean_similarity(picture: Embedding, references: Sequence[Embedding]) -> float:
    """Mean cosine similarity of a picture's face to several true pictures of the person.

    Raises:
        ValueError: No references.
    """
    return _mean([cosine_similarity(picture, reference) for reference in references])


def upper_bound(references: Sequence[Embedding]) -> float:
    """Mean similarity between two different true pictures of one person: what no rendering can be asked to exceed.

    Raises:
        ValueError: Fewer than two pictures.
    """
    return _mean([cosine_similarity(first, second) for first, second in combinations(references, 2)])


def identity_of_prompt(scores: Sequence[PictureScore]) -> float:
    """ID(P): the mean of ID where all concepts of the prompt are present, counting 0 elsewhere.

    Raises:
        ValueError: No scores.
    """
    return _mean([score.identity if score.obeys else 0.0 for score in scores])


def attention_share(
    maps: Sequence[AttentionMap], positions: Sequence[int], box: Box, image_size: tuple[int, int]
) -> float:
    """Share of the attention to a person's text positions that falls inside the face box, averaged over layers, 0..1.

    Args:
        maps: Recorded maps, one a layer, of any resolutions. With guidance the unconditional half comes first: the last
            row is looked at.
        positions: The person's text positions.
        box: Of the face, in pixels of the picture.
        image_size: (width, height) of the picture.

    Raises:
        ValueError: No maps or no positions.
    """
    return _mean(
        [
            float(share_inside(word_map([layer], positions, layer.height, layer.width)[-1], box, image_size))
            for layer in maps
        ]
    )


def _mean(values: Sequence[float]) -> float:
    if not len(values):
        raise ValueError("nothing to average")
    return float(np.mean(np.asarray(values, dtype=np.float64)))

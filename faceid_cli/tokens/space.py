"""A part of the embedding space that features may be kept in while they are learned.

Shapes: K axes, D width of the text encoder's token embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class EmbeddingSpace:
    """A point and some axes: embeddings are the point and a sum along the axes.

    Attributes:
        middle: (D,) float32: the point that all coordinates of 0 stand for.
        axes: (K, D) float32, at right angles to each other. The longer an axis, the more one step of training moves
            along it.
        scale: Typical length of a coordinate.
    """

    middle: Tensor
    axes: Tensor
    scale: float

    def coordinates_of(self, embedding: Tensor) -> Tensor:
        """Return the coordinates, (K,), of what of an embedding (D,) lies in the space."""
        away = embedding.to(self.middle) - self.middle
        return (self.axes @ away) / self.axes.square().sum(dim=1)

    def embedding_at(self, coordinates: Tensor) -> Tensor:
        """Return the embeddings, (R, D), at some coordinates (R, K)."""
        return self.middle.to(coordinates) + coordinates @ self.axes.to(coordinates)

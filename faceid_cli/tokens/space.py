"""A part of the embedding space that features may be kept in while they are learned.

Shapes: K axes, D width of the text encoder's token embeddings.
"""

from __future__ import annotations

from torch import Tensor, nn


class EmbeddingSpace(nn.Module):
    """A point and some axes: embeddings are the point and a sum along the axes.

    Nothing of it is trained. It is a module so that it goes to the device of the one that it is a part of.

    Args:
        middle: (D,) float32: the point that all coordinates of 0 stand for.
        axes: (K, D) float32, at right angles to each other. The longer an axis, the more one step of training moves
            along it.
        scale: Typical length of a coordinate.
    """

    middle: Tensor
    axes: Tensor

    def __init__(self, middle: Tensor, axes: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("middle", middle, persistent=False)
        self.register_buffer("axes", axes, persistent=False)
        self.scale = scale

    def coordinates_of(self, embedding: Tensor) -> Tensor:
        """Return the coordinates, (K,), of what of an embedding (D,) lies in the space."""
        away = embedding.to(self.middle) - self.middle
        return (self.axes @ away) / self.axes.square().sum(dim=1)

    def embedding_at(self, coordinates: Tensor) -> Tensor:
        """Return the embeddings, (R, D), at some coordinates (R, K)."""
        return self.middle + coordinates @ self.axes

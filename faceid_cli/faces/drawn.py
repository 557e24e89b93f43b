"""Faces in drawn portraits: the built-in world's judge behind the finder protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceid_cli.builtin.judge import Judge
from faceid_cli.types import Face


class DrawnFaceFinder:
    """Finds drawn faces with the built-in world's judge."""

    is_drawn_world = True

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @classmethod
    def load(cls, path: Path | None = None) -> DrawnFaceFinder:
        """Load the judge that ships with the package, or one from `path`."""
        return cls(Judge.load(path))

    def find(self, image: Image.Image) -> list[Face]:
        """All faces of an RGB picture, from left to right, in its pixels."""
        return sorted(self._judge.find_faces(image), key=lambda face: face.box.center[0])

    def embed(self, image: Image.Image, face: Face) -> NDArray[np.float32]:
        """The identity of one face as a unit vector (E,)."""
        return self._judge.embed(image, face)

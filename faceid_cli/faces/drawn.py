"""Faces in drawn portraits: the built-in world's judge behind the finder protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceid_cli.builtin.judge import Judge
from faceid_cli.types import Face


class DrawnFaceFinder:
    """Finds drawn faces with the built-in world's judge."""

    is_drawn_world = True
    can_compare = True
    same_person = 0.75
    """The judge's similarity from which two faces count as one person's. Of 40 drawings of 8 people whom it was not
    trained on, those of one person were at least 0.85 alike, those of two at most 0.64."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @classmethod
    def load(cls, path: Path | None = None) -> DrawnFaceFinder:
        """Load the judge that ships with the package, or one from `path`."""
        return cls(Judge.load(path))

    def find(self, image: Image.Image) -> list[Face]:
        """All faces of an RGB picture, from left to right, in its pixels."""
        return sorted(self._judge.find_faces(image), key=lambda face: face.box.center[0])

    def find_all(self, images: Sequence[Image.Image]) -> list[list[Face]]:
        """The faces of several RGB pictures, as `find` finds them in each."""
        return [self.find(image) for image in images]

    def outline(self, image: Image.Image, face: Face) -> Image.Image | None:
        """None: the judge knows no outlines."""
        return None

    def embed(self, image: Image.Image, face: Face) -> NDArray[np.float32]:
        """The identity of one face as a unit vector (E,)."""
        return self._judge.embed(image, face)

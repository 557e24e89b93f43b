"""What finds and compares faces: one protocol for photographs and for drawn portraits. Needs no torch itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceid_cli.errors import ModelError, WeightsMissingError
from faceid_cli.kept.settings import read_setting
from faceid_cli.types import Face


class FaceFinder(Protocol):
    """Finds faces in pictures, and tells how much two faces look like one person.

    Attributes:
        is_drawn_world: Whether it knows the built-in model's drawn portraits rather than photographs.
        same_person: Similarity of two embeddings from which they count as one person's.
    """

    is_drawn_world: bool
    same_person: float

    @property
    def can_compare(self) -> bool:
        """Whether `embed` works here."""
        ...

    def find(self, image: Image.Image) -> list[Face]:
        """All faces of an RGB picture, from left to right, in its pixels."""
        ...

    def find_all(self, images: Sequence[Image.Image]) -> list[list[Face]]:
        """The faces of several RGB pictures, as `find` finds them in each, but sooner."""
        ...

    def outline(self, image: Image.Image, face: Face) -> Image.Image | None:
        """The visible face, 255 on a picture of mode "L" and of the same size; None where that cannot be told."""
        ...

    def embed(self, image: Image.Image, face: Face) -> NDArray[np.float32]:
        """The identity of one face as a unit vector (E,): the dot product of two says how alike they are, -1 to 1."""
        ...


def enrolment_finder(builtin: bool, device: str | None, wanted: bool) -> FaceFinder | None:
    """The face finder for an enrolment, loaded before a large base model is; None where nothing is to be found.

    Args:
        builtin: Whether the base model is the built-in one.
        device: As for `finder_for`.
        wanted: Whether faces are looked for. With the face given by hand, a finder that is missing is no obstacle.

    Raises:
        WeightsMissingError: The weights for photographs are not on this machine.
        BrokenInstallError: The installed packages for photographs do not fit each other.
    """
    if not wanted:
        return None
    try:
        return finder_for(builtin, device, read_setting("detector"))
    except WeightsMissingError as error:
        error.hint = f"{error.hint}; --no-detect and --box work without"
        raise


def finder_for(builtin: bool, device: str | None = None, detector: str = "mobilenet") -> FaceFinder:
    """The face finder that fits a base model: the judge for the built-in one, facexlib for every other.

    Args:
        builtin: Whether the base model is the built-in one.
        device: "auto" (None is the same), "cpu", "cuda", "cuda:1", "mps".
        detector: For photographs, see `PhotographFaceFinder.load`.

    Raises:
        WeightsMissingError: The weights for photographs are not on this machine.
        BrokenInstallError: The installed packages for photographs do not fit each other.
    """
    # Imported here, because each brings packages of its own, and one of them can be broken without need of it.
    if builtin:
        from faceid_cli.faces.drawn import DrawnFaceFinder

        return DrawnFaceFinder.load()
    from faceid_cli.faces.photographs import PhotographFaceFinder

    return PhotographFaceFinder.load(device or "auto", detector)


def face_if_any(image: Image.Image, builtin: bool, device: str | None = None) -> Face | None:
    """The largest face of a picture; None where there is none, or nothing to find it with. See `finder_for`."""
    try:
        faces = finder_for(builtin, device).find(image)
    except ModelError:
        return None
    return max(faces, key=lambda face: face.box.area, default=None)

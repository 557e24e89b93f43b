"""From photo files and folders to training crops: read, find, choose, cut. Needs no torch itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceid_cli.errors import NoFaceError, UsageError, WrongWorldError
from faceid_cli.faces.crop import checked_box, choose_face, crop_face, whole_crop
from faceid_cli.faces.finder import FaceFinder
from faceid_cli.faces.texture import looks_like_photograph
from faceid_cli.photos import find_photos, read_photo
from faceid_cli.types import Box, Face, FaceCrop, Photo

_LEAST_FRAMED_SHARE = 0.25


def crops_from_photos(
    paths: Sequence[Path],
    finder: FaceFinder | None,
    size_px: int,
    which: str | int = "only",
    detect: bool = True,
    box: Box | None = None,
) -> list[FaceCrop]:
    """Read all photos and cut one crop from each; copies of one photo count once.

    Args:
        paths: Files and folders.
        finder: What finds the faces; may be None where nothing is to be found.
        size_px: Side of the crops: the base model's resolution.
        which: Which face where there are several, see `choose_face`.
        detect: False takes the middle of every photo whole, with no face in the crop.
        box: The face box, given by hand, in pixels of the upright photo; for a single photo.

    Raises:
        PhotoError: In its subclasses: missing, damaged or unsuitable photos. The message names the file.
        UsageError: A box for several photos.
    """
    photos: dict[str, Photo] = {}
    for path in find_photos(paths):
        photo = read_photo(path)
        photos.setdefault(photo.sha256, photo)
    if box is not None and len(photos) > 1:
        raise UsageError(f"one box cannot fit {len(photos)} photos", "give one photo with --box")
    return [_crop(photo, finder, size_px, which, detect, box) for photo in photos.values()]


def _crop(
    photo: Photo, finder: FaceFinder | None, size_px: int, which: str | int, detect: bool, box: Box | None
) -> FaceCrop:
    if box is not None:
        return crop_face(photo, checked_box(box, photo), size_px)
    if not detect or finder is None:
        return whole_crop(photo, size_px)
    faces = finder.find(photo.image)
    if finder.is_drawn_world:
        _refuse_other_worlds(photo, faces)
    face = choose_face(faces, which, str(photo.path))
    if finder.is_drawn_world and len(faces) == 1 and _is_framed(photo, face):
        return whole_crop(photo, size_px, face)
    return crop_face(photo, face, size_px)


def _refuse_other_worlds(photo: Photo, faces: Sequence[Face]) -> None:
    """Say what to do with a photograph, instead of letting the judge of drawings find no face or a wrong one."""
    if looks_like_photograph(photo.image, has_drawn_face=bool(faces)):
        raise WrongWorldError(
            f"{photo.path} looks like a photograph, but the built-in model only knows drawn portraits",
            "faceid config set model PATH chooses a checkpoint for photographs; --no-detect learns the picture anyway",
        )
    if not faces:
        raise NoFaceError(
            f"no drawn face in {photo.path}, and the built-in model only knows drawn portraits",
            "mark the face with --box, use --no-detect, or choose another model: faceid config set model PATH",
        )


def _is_framed(photo: Photo, face: Face) -> bool:
    """Whether a drawing is a whole portrait already, as the built-in model was trained on: square, the face large."""
    width, height = photo.image.size
    return abs(width - height) <= 0.01 * width and face.box.height >= _LEAST_FRAMED_SHARE * height

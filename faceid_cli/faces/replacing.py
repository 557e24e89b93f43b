"""Which face of a photo is to be replaced, and where it is. Needs no torch itself."""

from __future__ import annotations

from PIL import Image, ImageFilter

from faceid_cli.errors import NoFaceError, WrongWorldError
from faceid_cli.faces.crop import choose_face
from faceid_cli.faces.finder import FaceFinder
from faceid_cli.faces.marks import oval_mask
from faceid_cli.faces.texture import looks_like_photograph
from faceid_cli.types import Face, Photo

_GROWTH = 0.06  # of the face's height: another face has another outline
_ONE_SPREAD_OUTSIDE = 41  # of 255: what a blurred straight edge is at, one standard deviation outside of it


def face_to_replace(photo: Photo, finder: FaceFinder, which: str | int = "only") -> Face:
    """Find the face that is meant.

    Args:
        photo: The decoded photo, upright.
        finder: What finds faces.
        which: "only", "largest", "left", "right", or a number from the left, see `crop.choose_face`.

    Raises:
        NoFaceError: There is none.
        SeveralFacesError: There are several, and no word on which; or not so many.
        WrongWorldError: A photograph, and the finder knows drawings.
    """
    faces = finder.find(photo.image)
    if finder.is_drawn_world and looks_like_photograph(photo.image, has_drawn_face=bool(faces)):
        raise WrongWorldError(
            f"{photo.path} looks like a photograph, but the built-in model only knows drawn portraits",
            "enroll the person on a checkpoint for photographs, or paint a mask: --init FILE --mask FILE",
        )
    if not faces:
        raise NoFaceError(f"no face in {photo.path}", "paint a mask where it is to be: --init FILE --mask FILE")
    return choose_face(faces, which, str(photo.path))


def face_mask(image: Image.Image, face: Face, finder: FaceFinder) -> Image.Image:
    """Return where a face is, a little more than its outline; its oval where no outline can be told.

    Args:
        image: The picture, RGB.
        face: In pixels of the image.
        finder: What may know outlines.

    Returns:
        Of mode "L" and of the image's size: 255 on the face, else 0.
    """
    found = finder.outline(image, face)
    if found is None or found.getbbox() is None:
        found = oval_mask(image.size, face)
    grown = found.filter(ImageFilter.GaussianBlur(_GROWTH * face.box.height))
    return grown.point([255 * (level >= _ONE_SPREAD_OUTSIDE) for level in range(256)])

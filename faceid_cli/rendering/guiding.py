"""What guides a picture beside its prompt: pictures to start from, masks, control images. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from PIL import Image

from faceid_cli.errors import PhotoError, WeightsMissingError
from faceid_cli.faces.finder import finder_for
from faceid_cli.faces.replacing import face_mask, face_to_replace
from faceid_cli.kept.settings import read_setting
from faceid_cli.model_files.controlnet import ControlNetFiles, find_controlnet
from faceid_cli.orders import RenderOrder
from faceid_cli.photo_files import BLACK, read_photo
from faceid_cli.types import Photo


@dataclass(frozen=True)
class Guidance:
    """Guides that have been read.

    Attributes:
        photos: The decoded files, by the option that gave them.
        kind: What the control image shows; "" for no ControlNet.
        controlnet: The ControlNet's files.
        mask: What may change of the picture to start from.
    """

    photos: Mapping[str, Photo] = field(default_factory=dict)
    kind: str = ""
    controlnet: ControlNetFiles | None = None
    mask: Image.Image | None = None

    @property
    def init(self) -> Image.Image | None:
        """The picture to start from."""
        photo = self.photos.get("into") or self.photos.get("init")
        return None if photo is None else photo.image


def read_guidance(order: RenderOrder) -> Guidance:
    """Read the files and find the ControlNet, before any network is loaded. Transparent is black.

    Raises:
        PhotoError: A file is missing or damaged, or the mask has another size than its picture.
        ModelError: The ControlNet is missing, or is none.
    """
    photos = {name: read_photo(path, BLACK) for name, path in order.files.items()}
    if "mask" in photos and photos["mask"].image.size != photos["init"].image.size:
        sizes = [f"{photos[name].image.width} x {photos[name].image.height} px" for name in ("mask", "init")]
        raise PhotoError(
            f"the mask {order.mask} has {sizes[0]}, its picture {sizes[1]}",
            "paint the mask over the picture itself, and save it in the same size",
        )
    kind, source = order.control or ("", "")
    controlnet = find_controlnet(source) if kind else None
    mask = photos["mask"].image.convert("L") if "mask" in photos else None
    return Guidance(photos, kind, controlnet, mask)


def with_face_mask(guidance: Guidance, which: str | int, drawn: bool, device: str) -> Guidance:
    """Find the face that is to be replaced, where one is, and put a mask over it.

    Args:
        guidance: As `read_guidance` returned it.
        which: The face, see `faces.crop.choose_face`.
        drawn: Whether the base model is the built-in one of drawings.
        device: As in `RenderConfig`.

    Raises:
        PhotoError: No face, or several and no word on which.
        WeightsMissingError: The weights for finding faces in photographs are not on this machine.
    """
    photo = guidance.photos.get("into")
    if photo is None:
        return guidance
    try:
        finder = finder_for(drawn, device, read_setting("detector"))
    except WeightsMissingError as error:
        error.hint = f"{error.hint}; a painted mask works without: --init FILE --mask FILE"
        raise
    return replace(guidance, mask=face_mask(photo.image, face_to_replace(photo, finder, which), finder))

"""Reading what guides a picture: the picture to start from, the mask of a face in it, and a ControlNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faceid_cli.errors import WeightsMissingError
from faceid_cli.model_files.controlnet import ControlNetFiles, find_controlnet
from faceid_cli.rendering.guides import Guides
from faceid_cli.settings import read_setting
from faceid_cli.types import Photo

if TYPE_CHECKING:
    from PIL import Image

    from faceid_cli.backbone import BaseModel
    from faceid_cli.rendering.control import Control


@dataclass(frozen=True)
class Guidance:
    """Guides that have been read.

    Attributes:
        guides: What was given.
        photos: The decoded files, by option name.
        controlnet: The ControlNet's files.
        mask: What may change of the picture to start from.
    """

    guides: Guides
    photos: Mapping[str, Photo] = field(default_factory=dict)
    controlnet: ControlNetFiles | None = None
    mask: Image.Image | None = None

    @property
    def init(self) -> Image.Image | None:
        """The picture to start from."""
        photo = self.photos.get("into") or self.photos.get("init")
        return None if photo is None else photo.image

    def control(self, base: BaseModel) -> Control | None:
        """Load the ControlNet beside a base model; None where none was asked for.

        Raises:
            ModelError: It does not fit the base model, or is damaged.
        """
        if self.controlnet is None:
            return None
        from faceid_cli.backbone.controlnet import controlnet_line, load_controlnet
        from faceid_cli.rendering.control import Control

        network = load_controlnet(self.controlnet, base)
        image = self.photos["control-image"].image
        return Control(self.guides.control, controlnet_line(self.controlnet), network, image)


def read_guides(guides: Guides) -> Guidance:
    """Read the files and find the ControlNet, before any network is loaded.

    Raises:
        PhotoError: A file is missing or damaged, or does not fit the others.
        ModelError: The ControlNet is missing, or is none.
    """
    photos = guides.read()
    controlnet = find_controlnet(guides.control_model) if guides.control else None
    mask = photos["mask"].image.convert("L") if "mask" in photos else None
    return Guidance(guides, photos, controlnet, mask)


def with_face_mask(guidance: Guidance, drawn: bool, device: str) -> Guidance:
    """Find the face that is to be replaced, where one is, and put a mask over it.

    Args:
        guidance: As `read_guides` returned it.
        drawn: Whether the base model is the built-in one of drawings.
        device: As in `RenderConfig`.

    Raises:
        PhotoError: No face, or several and no word on which.
        WeightsMissingError: The weights for finding faces in photographs are not on this machine.
    """
    photo = guidance.photos.get("into")
    if photo is None:
        return guidance
    from faceid_cli.faces.finder import finder_for
    from faceid_cli.faces.replacing import face_mask, face_to_replace

    try:
        finder = finder_for(drawn, device, read_setting("detector"))
    except WeightsMissingError as error:
        error.hint = f"{error.hint}; a painted mask works without: --init FILE --mask FILE"
        raise
    face = face_to_replace(photo, finder, guidance.guides.face)
    mask = face_mask(photo.image, face, finder)
    return Guidance(guidance.guides, guidance.photos, guidance.controlnet, mask)

"""What is given beside a prompt to guide a picture: pictures to start from, masks, control images. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceid_cli.config import CONTROLS
from faceid_cli.errors import PhotoError, UsageError
from faceid_cli.photos import read_photo
from faceid_cli.types import Photo


@dataclass(frozen=True)
class Guides:
    """Files that guide a picture; all of them can be missing.

    Attributes:
        init: A picture to start from.
        mask: Of the size of `init`: white where it may change, black where it must stay.
        into: A photo in which a face is to be replaced; in the place of `init`.
        face: Which of its faces, see `faces.crop.choose_face`.
        control: One of CONTROLS, or "" for no ControlNet.
        control_model: The ControlNet: a folder in diffusers' layout or a hub id.
        control_image: The picture that the ControlNet follows.

    Raises:
        UsageError: Files that do not go together.
    """

    init: Path | None = None
    mask: Path | None = None
    into: Path | None = None
    face: str | int = "only"
    control: str = ""
    control_model: str = ""
    control_image: Path | None = None

    def __post_init__(self) -> None:
        if self.into is not None and (self.init is not None or self.mask is not None):
            raise UsageError(
                "a face cannot be replaced and a picture started from at once",
                "give either --into FILE, or --init FILE with --mask FILE",
            )
        if self.mask is not None and self.init is None:
            raise UsageError("a mask needs a picture to belong to", "give the picture with --init FILE")
        if self.face != "only" and self.into is None:
            raise UsageError("a face is chosen where one is replaced", "give the photo with --into FILE")
        self._check_control()

    def _check_control(self) -> None:
        if self.control and self.control not in CONTROLS:
            raise UsageError(f"unknown control {self.control!r}", f"choose one of: {', '.join(CONTROLS)}")
        if self.control and not self.control_model:
            raise UsageError("the ControlNet is missing", f"such as: --control {self.control} owner/name")
        if self.control and self.control_image is None:
            made = "any picture: its edges are found" if self.control == "canny" else "ready-made; faceid makes none"
            raise UsageError(f"{self.control} needs an image to follow", f"give --control-image FILE ({made})")
        if self.control_image is not None and not self.control:
            raise UsageError("a control image needs a ControlNet", "such as: --control canny owner/name")

    @property
    def files(self) -> dict[str, Path]:
        """The files that are given, by option name."""
        named = {"init": self.init, "mask": self.mask, "into": self.into, "control-image": self.control_image}
        return {name: path for name, path in named.items() if path is not None}

    def read(self) -> dict[str, Photo]:
        """Decode the files, by option name.

        Raises:
            PhotoError: One is missing or damaged, or the mask has another size than its picture.
        """
        photos = {name: read_photo(path) for name, path in self.files.items()}
        if "mask" in photos and photos["mask"].image.size != photos["init"].image.size:
            sizes = [f"{photos[name].image.width} x {photos[name].image.height} px" for name in ("mask", "init")]
            raise PhotoError(
                f"the mask {self.mask} has {sizes[0]}, its picture {sizes[1]}",
                "paint the mask over the picture itself, and save it in the same size",
            )
        return photos

"""ControlNets: a second network that lets a picture follow another one's edges, pose or depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from faceid_cli.backbone import BaseModel
from faceid_cli.backbone.controlnet import controlnet_line, load_controlnet
from faceid_cli.errors import BrokenInstallError
from faceid_cli.photo_files import flattened
from faceid_cli.rendering.guiding import Guidance


@dataclass(frozen=True)
class Control:
    """A ControlNet with the picture that it follows.

    Attributes:
        kind: One of `orders.CONTROLS`.
        name: Of the network, for the picture's metadata.
        network: diffusers' ControlNetModel, on the base model's device.
        image: The picture, RGB, of any size; of kind "canny" its edges are what is followed.
    """

    kind: str
    name: str
    network: Any
    image: Image.Image

    def picture(self, size: tuple[int, int], image: Image.Image | None = None) -> Image.Image:
        """What the network is shown, at the size of the rendering; cut to its shape, never stretched.

        Args:
            size: Width and height in pixels.
            image: Another picture in the place of the control's own: a part of it.
        """
        fitted = ImageOps.fit(flattened(image or self.image), size, Image.Resampling.LANCZOS)
        return _edges(fitted) if self.kind == "canny" else fitted


def _edges(image: Image.Image) -> Image.Image:
    """Canny's edges, white on black, between the thresholds that ControlNets for edges were taught with."""
    try:
        import cv2
    except ImportError as error:  # often for want of the system's libGL, which drawing windows needs
        reason = str(error).splitlines()[0]
        raise BrokenInstallError(
            f"OpenCV, which finds edges, cannot be imported: {reason}",
            "pip install --force-reinstall opencv-python-headless",
        ) from error
    return Image.fromarray(cv2.Canny(np.asarray(image), 100, 200)).convert("RGB")


def control_for(guidance: Guidance, base: BaseModel) -> Control | None:
    """Load the ControlNet beside a base model; None where none was asked for.

    Raises:
        ModelError: It does not fit the base model, or is damaged.
    """
    if guidance.controlnet is None:
        return None
    network = load_controlnet(guidance.controlnet, base)
    image = guidance.photos["control-image"].image
    return Control(guidance.kind, controlnet_line(guidance.controlnet), network, image)

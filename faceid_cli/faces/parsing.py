"""The outline of a face in a photograph: facexlib's BiSeNet or ParseNet, which name the part that each pixel shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from faceid_cli.types import Box

NETWORKS = {"bisenet": "face-parsing", "parsenet": "face-parsing-parsenet"}
"""Networks by name, in the order in which they are looked for, with the names of their weights."""

_INPUT_PX = 512
_PARTS = 19
_ROOM = 2.2  # height of what is looked at, in heights of the face box: with hair and chin
# Mean and spread of the colours that each network was trained with.
_COLORS = {
    "bisenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "parsenet": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}

# Numbers of the parts that make up the visible face: skin, brows, eyes, glasses, nose, mouth and lips.
_FACE_PARTS = {
    "bisenet": (1, 2, 3, 4, 5, 6, 10, 11, 12, 13),
    "parsenet": (1, 2, 3, 4, 5, 6, 7, 10, 11, 12),
}


class FaceParser:
    """Outlines faces.

    Args:
        network: facexlib's network, in evaluation mode.
        name: A key of NETWORKS.
        device: Where the network is.
    """

    def __init__(self, network: Any, name: str, device: torch.device) -> None:
        self._network, self._name, self._device = network, name, device

    def outline(self, image: Image.Image, box: Box) -> Image.Image:
        """Where an RGB picture shows the face in the box itself, and not hair, hands or other things before it.

        Returns:
            A picture of mode "L" and of the same size, 255 on the face and 0 elsewhere.
        """
        side = box.height * _ROOM
        left, top = box.center[0] - side / 2, box.center[1] - side / 2
        area = (round(left), round(top), round(left + side), round(top + side))
        # What lies outside of the picture comes out black.
        small = image.crop(area).resize((_INPUT_PX, _INPUT_PX), Image.Resampling.BILINEAR)
        mask = np.isin(self._labels(small), _FACE_PARTS[self._name])
        size = (area[2] - area[0], area[3] - area[1])
        found = Image.fromarray((mask * 255).astype(np.uint8), "L").resize(size, Image.Resampling.BILINEAR)
        whole = Image.new("L", image.size, 0)
        whole.paste(found, area[:2])
        return whole

    def _labels(self, image: Image.Image) -> NDArray[np.int64]:
        mean, spread = (np.array(values, dtype=np.float32) for values in _COLORS[self._name])
        pixels = (np.asarray(image.convert("RGB"), dtype=np.float32) / 255 - mean) / spread
        with torch.inference_mode():
            answer = self._network(torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self._device))
        return np.asarray(answer[0].argmax(dim=1)[0].cpu().numpy(), dtype=np.int64)


def build_parser(name: str, load: Callable[[str, str], Callable[..., Any]]) -> Any:
    """The named network without weights: (1, 3, 512, 512) -> a tuple whose first part is (1, 19, 512, 512).

    Args:
        name: A key of NETWORKS.
        load: Imports a name from a module.
    """
    if name == "bisenet":
        return load("facexlib.parsing.bisenet", "BiSeNet")(num_class=_PARTS)
    build = load("facexlib.parsing.parsenet", "ParseNet")
    return build(in_size=_INPUT_PX, out_size=_INPUT_PX, parsing_ch=_PARTS)

"""RetinaFace (arXiv 1905.00641) on batches: facexlib's network, with the way to and from it written for speed.

Anchors are computed once per picture size, and only what scores well is decoded.
Shapes: B pictures, H x W pixels, A anchors, N faces.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

NETWORKS = {"mobilenet": ("mobile0.25", "face-detection"), "resnet50": ("resnet50", "face-detection-resnet50")}
"""Detectors by name: what facexlib calls the network, and the name of its weights."""

# What the network was trained with: mean colour in the order blue, green, red; anchors by stride; spread of the codes.
_MEAN_BGR = (104.0, 117.0, 123.0)
_ANCHORS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
_CENTER_SPREAD, _SIZE_SPREAD = 0.1, 0.2
_MOST_OVERLAP = 0.4


class RetinaFaceDetector:
    """The network on its device.

    Args:
        network: facexlib's RetinaFace, in evaluation mode.
        device: Where it is.
        suppress: Non-maximum suppression, (boxes, scores, overlap) -> kept indices.
    """

    def __init__(self, network: Any, device: torch.device, suppress: Callable[[Tensor, Tensor, float], Tensor]) -> None:
        self._network, self._device, self._suppress = network, device, suppress

    def detect(self, images: Sequence[Image.Image], least_score: float) -> list[NDArray[np.float64]]:
        """Find faces in RGB pictures that all have one size.

        Returns:
            For each picture (N, 15): left, top, right, bottom, score, then five landmarks (x, y), in its pixels.
        """
        if self._device.type == "cpu" and len(images) > 1:  # larger batches fall out of the processor's cache
            return [rows for image in images for rows in self.detect([image], least_score)]
        width, height = images[0].size
        pixels = np.stack([np.asarray(image, dtype=np.uint8)[:, :, ::-1] for image in images])
        batch = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float()
        batch -= torch.tensor(_MEAN_BGR, device=self._device).view(1, 3, 1, 1)
        with torch.inference_mode():
            places, scores, points = self._network(batch.contiguous(memory_format=torch.channels_last))
        anchors = _anchors(width, height).to(self._device)
        found = zip(places.float(), scores[:, :, 1].float(), points.float(), strict=True)
        return [self._decode(anchors, *each, least_score, (width, height)) for each in found]

    def _decode(
        self, anchors: Tensor, places: Tensor, scores: Tensor, points: Tensor, least_score: float, size: tuple[int, int]
    ) -> NDArray[np.float64]:
        good = scores > least_score
        anchors, places, scores, points = anchors[good], places[good], scores[good], points[good]
        extent = anchors[:, 2:]
        center = anchors[:, :2] + places[:, :2] * _CENTER_SPREAD * extent
        half = extent * torch.exp(places[:, 2:] * _SIZE_SPREAD) / 2
        landmarks = anchors[:, None, :2] + points.view(-1, 5, 2) * _CENTER_SPREAD * extent[:, None]
        scale = torch.tensor(size, device=anchors.device, dtype=torch.float32)
        boxes = torch.cat([(center - half) * scale, (center + half) * scale], dim=1)
        kept = self._suppress(boxes, scores, _MOST_OVERLAP)
        rows = torch.cat([boxes, scores[:, None], (landmarks * scale).flatten(1)], dim=1)[kept]
        return np.asarray(rows.cpu().numpy(), dtype=np.float64)


def build_network(name: str, load: Callable[[str, str], Callable[..., Any]]) -> Any:
    """facexlib's RetinaFace without weights, on the CPU.

    Args:
        name: A key of NETWORKS.
        load: Imports a name from a module.
    """
    build = load("facexlib.detection.retinaface", "RetinaFace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks torchvision for the larger network in a way that is out of date
        return build(network_name=NETWORKS[name][0], device=torch.device("cpu"))


@functools.lru_cache(maxsize=32)
def _anchors(width: int, height: int) -> Tensor:
    """(A, 4): centre x, y, width and height as shares of the picture, in the order in which the network answers."""
    parts = []
    for stride, sizes in _ANCHORS:
        rows, columns = math.ceil(height / stride), math.ceil(width / stride)
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        centers = torch.stack([x * stride / width, y * stride / height], dim=-1)[:, :, None].expand(-1, -1, 2, -1)
        extents = torch.tensor([[size / width, size / height] for size in sizes]).expand(rows, columns, 2, 2)
        parts.append(torch.cat([centers, extents], dim=-1).reshape(-1, 4))
    return torch.cat(parts)

"""An invisible watermark in the pixels of rendered pictures: 48 bits that say "faceid". Needs no torch.

It is the wavelet watermark of the package invisible-watermark with singular values ("dwtDctSvd"). A simple mark: it
outlives saving again as JPEG at usual quality, and neither cropping, resizing nor intent.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MARK = "faceid"
_BITS = [int(bit) for bit in np.unpackbits(np.frombuffer(MARK.encode(), dtype=np.uint8))]
# What diffusers hides in pictures of Stable Diffusion XL: the same package's other method, and a message of its own.
_BITS_OF_XL = [int(bit) for bit in f"{0b101100111110110010010000011110111011000110011110:048b}"]
_ENOUGH = 40
"""Bits of 48 that have to be right. By chance as many are once in half a million pictures."""
_MOST_LEVELS = 48
"""The package reckons in bytes that wrap around in saturated colours; what changed by more is such a place."""
_LEAST_PX, _MOST_PX = 64 * 64, 40_000_000


def with_watermark(image: Image.Image) -> tuple[Image.Image, bool]:
    """Hide the mark in a picture.

    Args:
        image: RGB, of any size.

    Returns:
        The marked picture and True; the picture as it was and False where the mark could not be read again: small
        pictures, and those that are white or flat nearly everywhere.
    """
    if not _LEAST_PX <= image.width * image.height <= _MOST_PX:
        return image, False
    before = _blue_first(image)
    after = _method("dwtDctSvd").EmbedDwtDctSvd(_BITS, wmLen=len(_BITS)).encode(before.copy())
    wrapped = np.abs(after.astype(int) - before.astype(int)).max(axis=2, keepdims=True) > _MOST_LEVELS
    marked = Image.fromarray(np.ascontiguousarray(np.where(wrapped, before, after)[:, :, ::-1]))
    return (marked, True) if find_watermark(marked) == MARK else (image, False)


def find_watermark(image: Image.Image) -> str:
    """Look for a watermark: "faceid", "Stable Diffusion XL" for that of diffusers, or "" for none."""
    if not _LEAST_PX <= image.width * image.height <= _MOST_PX:
        return ""
    pixels = _blue_first(image)
    known = (
        (MARK, _method("dwtDctSvd").EmbedDwtDctSvd, _BITS),
        ("Stable Diffusion XL", _method("maxDct").EmbedMaxDct, _BITS_OF_XL),
    )
    for name, method, bits in known:
        found = np.asarray(method([], wmLen=len(bits)).decode(pixels.copy()), dtype=int)
        if int((found == bits).sum()) >= _ENOUGH:
            return name
    return ""


def _blue_first(image: Image.Image) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


@cache
def _method(name: str) -> Any:
    """A module of the package, by its file: the package itself would import torch for a method that is not used."""
    package = find_spec("imwatermark")
    assert package is not None
    assert package.submodule_search_locations
    found = spec_from_file_location(
        f"_faceid_{name}", Path(next(iter(package.submodule_search_locations))) / f"{name}.py"
    )
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module

"""rendering/contact_sheet.py: pictures in rows, whole, with captions."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from faceid_cli.contact_sheet import contact_sheet


def _solid(color: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, color)


def test_every_picture_is_there_unscaled() -> None:
    colors = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    pixels = np.asarray(contact_sheet([_solid(color) for color in colors], columns=3))
    for color in colors:
        assert (pixels == color).all(axis=2).sum() == 64 * 64
    assert pixels.shape[1] > pixels.shape[0]


def test_the_aspect_is_kept() -> None:
    pixels = np.asarray(contact_sheet([_solid((200, 0, 0), (64, 32)), _solid((0, 0, 200))]))
    rows, columns = np.nonzero((pixels == (200, 0, 0)).all(axis=2))
    assert np.ptp(columns) + 1 == 64
    assert np.ptp(rows) + 1 == 32


def test_captions_add_ink_and_never_touch_the_pictures() -> None:
    images = [_solid((200, 0, 0), (128, 128)) for _ in range(4)]
    plain = np.asarray(contact_sheet(images))
    captioned = np.asarray(contact_sheet(images, ["a photo of <alice> on the beach " * 5, "b", "", "c" * 200]))
    assert captioned.shape[0] > plain.shape[0]
    assert (captioned.max(axis=2) < 100).any()
    assert (captioned == (200, 0, 0)).all(axis=2).sum() == 4 * 128 * 128


def test_wide_cells_have_no_empty_room_above_wide_pictures() -> None:
    pictures = [_solid((200, 0, 0), (128, 64))] * 2
    pixels = np.asarray(contact_sheet(pictures, ["a", "b"], columns=1, cell_px=(128, 64), font_px=11))
    assert pixels.shape[0] < 2 * (64 + 3 * 14)
    assert (pixels == (200, 0, 0)).all(axis=2).sum() == 2 * 128 * 64


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0 pictures"):
        contact_sheet([])
    with pytest.raises(ValueError, match=r"1 pictures with 2 captions"):
        contact_sheet([_solid((0, 0, 0))], ["a", "b"])

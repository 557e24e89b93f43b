"""Canny's edges."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from faceid_cli.rendering.edges import edge_map


def lines(image: Image.Image, *limits: int) -> np.ndarray:
    return np.asarray(edge_map(image, *limits))[..., 0]


def test_a_square_gives_its_outline_and_nothing_else() -> None:
    image = Image.new("RGB", (40, 30), (20, 20, 20))
    ImageDraw.Draw(image).rectangle((10, 8, 29, 21), fill=(230, 230, 230))
    found = lines(image)
    assert set(np.unique(found)) == {0, 255}
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) in {(7, 21, 9, 29), (8, 22, 10, 30), (7, 22, 9, 30)}
    assert not found[10:20, 12:28].any()
    assert 50 <= len(rows) <= 80  # one pixel wide all around


def test_weak_edges_count_only_where_they_touch_a_strong_one() -> None:
    image = Image.new("RGB", (60, 60), (100, 100, 100))
    draw = ImageDraw.Draw(image)
    draw.line((0, 10, 59, 10), fill=(140, 140, 140), width=3)  # a gradient of 160: weak
    assert not lines(image).any()
    assert lines(image, 50, 120).any()
    draw.line((5, 10, 15, 10), fill=(255, 255, 255), width=3)
    assert lines(image)[:, 45].any()


@pytest.mark.parametrize("size", [(64, 96), (33, 20)])
def test_the_edges_are_opencvs(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    blurred = np.asarray(noise.filter(ImageFilter.GaussianBlur(3)), dtype=int)
    pixels = ((blurred - 128) * 6 + 128).clip(0, 255).astype(np.uint8)
    assert np.array_equal(lines(Image.fromarray(pixels)), cv2.Canny(pixels, 100, 200))

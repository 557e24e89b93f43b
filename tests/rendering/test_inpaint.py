"""Changing a part of a picture: what is cut out, what stays, and what is pasted back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from faceid_cli.errors import UsageError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.infotext import parameters_text
from faceid_cli.rendering.inpaint import plan_patch
from faceid_cli.rendering.metadata import from_json, to_json
from faceid_cli.rendering.record import metadata_of
from faceid_cli.rendering.xmp import COMPOSITE_SOURCE_TYPE, xmp_packet


def noisy(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def mask_with(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size, 0)
    for box in boxes:
        ImageDraw.Draw(mask).rectangle(box, fill=255)
    return mask


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=int)


@pytest.mark.parametrize(
    ("size", "box"), [((300, 200), (150, 60, 189, 109)), ((64, 64), (0, 0, 20, 63)), ((400, 90), (390, 80, 399, 89))]
)
def test_pixels_outside_the_mask_stay_bit_for_bit(tiny_base, size, box) -> None:
    photo, mask = noisy(*size), mask_with(size, box)
    config = RenderConfig(steps=3, strength=0.9)
    first, again = (render(tiny_base, "a cup", {}, [3], config, init=photo, mask=mask)[0].image for _ in range(2))
    assert first.size == size
    outside = np.asarray(mask) == 0
    assert np.array_equal(pixels(first)[outside], pixels(photo)[outside])
    assert (pixels(first) != pixels(photo))[~outside].mean() > 0.5
    assert np.array_equal(pixels(first), pixels(again))


def test_the_edge_is_soft_and_lies_inside_the_mask() -> None:
    photo, mask = Image.new("RGB", (200, 200), (0, 0, 0)), mask_with((200, 200), (50, 50, 149, 149))
    patch = plan_patch(mask, 64, 64)
    row = pixels(patch.paste(photo, Image.new("RGB", (64, 64), (255, 255, 255))))[100, :, 0]
    assert row[:50].max() == 0
    assert row[150:].max() == 0
    assert row[100] == 255
    edge = row[50:75]
    assert (np.diff(edge) >= 0).all()
    assert ((edge > 0) & (edge < 255)).sum() >= 4


def test_what_is_rendered_is_the_mask_with_room_around_it() -> None:
    patch = plan_patch(mask_with((3000, 2000), (1400, 900, 1499, 999)), 512, 512)
    left, top, right, bottom = patch.box
    assert (right - left, bottom - top) == (222, 222)
    assert left < 1400 < 1500 < right
    assert patch.size == (512, 512)
    corner = plan_patch(mask_with((3000, 2000), (0, 1950, 99, 1999)), 512, 512)
    assert corner.box[0] == 0
    assert corner.box[3] == 2000


def test_a_patch_that_does_not_fit_the_picture_takes_its_shape_and_keeps_the_area() -> None:
    patch = plan_patch(mask_with((400, 100), (0, 0, 399, 99)), 512, 512)
    assert patch.box == (0, 0, 400, 100)
    assert patch.size == (1024, 256)
    wide = plan_patch(mask_with((1000, 1000), (480, 480, 519, 519)), 768, 512)
    assert wide.size == (768, 512)
    assert abs((wide.box[2] - wide.box[0]) / (wide.box[3] - wide.box[1]) - 1.5) < 0.02


def test_a_thin_mask_still_changes_something() -> None:
    mask = mask_with((300, 300), (50, 150, 250, 152))
    patch = plan_patch(mask, 64, 64)
    changed = patch.paste(Image.new("RGB", (300, 300)), Image.new("RGB", (64, 64), (255, 255, 255)))
    assert pixels(changed)[150:153, 100:200].max() > 200


def test_every_place_that_the_mask_touches_may_change() -> None:
    patch = plan_patch(mask_with((64, 64), (10, 10, 40, 40)), 64, 64)
    free = patch.free(8)[0, 0].numpy()
    assert free.shape == (8, 8)
    assert free.astype(bool).tolist() == [
        [1 <= row <= 5 and 1 <= column <= 5 for column in range(8)] for row in range(8)
    ]


def test_grey_of_a_mask_is_decided_in_the_middle() -> None:
    mask = Image.new("L", (100, 100), 127)
    with pytest.raises(UsageError, match=r"black, so nothing may change"):
        plan_patch(mask, 64, 64)
    assert plan_patch(mask.point(lambda level: level + 1), 64, 64).box == (0, 0, 100, 100)


def test_more_strength_where_a_mask_holds_the_rest(tiny_base) -> None:
    photo, mask = noisy(64, 64), mask_with((64, 64), (20, 20, 40, 40))
    seen: list[tuple[int, int]] = []
    config = RenderConfig(steps=10)
    found = render(tiny_base, "a cup", {}, [3], config, lambda *done: seen.append(done), init=photo, mask=mask)[0]
    assert seen[-1] == (8, 8)
    assert found.settings["strength"] == 0.8
    assert render(tiny_base, "a cup", {}, [3], RenderConfig(steps=5), init=photo)[0].settings["strength"] == 0.6


def test_the_file_says_that_a_part_was_made_by_a_model(tiny_base) -> None:
    photo, mask = noisy(64, 64), mask_with((64, 64), (20, 20, 40, 40))
    found = metadata_of(render(tiny_base, "a cup", {}, [3], RenderConfig(steps=1), init=photo, mask=mask)[0])
    assert len(found.mask) == len(found.init) == 64
    assert from_json(to_json(found)) == found
    assert COMPOSITE_SOURCE_TYPE in xmp_packet(found)
    assert "FaceID mask: given" in parameters_text(found)


def test_bad_masks_are_refused_before_anything_is_rendered(tiny_base) -> None:
    photo, mask = noisy(64, 64), mask_with((64, 64), (20, 20, 40, 40))
    with pytest.raises(UsageError, match=r"of its own size"):
        render(tiny_base, "a cup", {}, [3], RenderConfig(steps=1), init=photo, mask=mask.resize((32, 32)))
    with pytest.raises(UsageError, match=r"of its own size"):
        render(tiny_base, "a cup", {}, [3], RenderConfig(steps=1), mask=mask)
    with pytest.raises(UsageError, match=r"no second pass"):
        render(tiny_base, "a cup", {}, [3], RenderConfig(steps=1, hires=2), init=photo, mask=mask)


def test_nothing_leaks_into_a_notch_of_the_mask() -> None:
    """At its inner corner more than half of what a blur sees is mask."""
    mask = mask_with((200, 200), (50, 50, 149, 149))
    mask.paste(0, (100, 50, 150, 100))
    changed = plan_patch(mask, 64, 64).paste(Image.new("RGB", (200, 200)), Image.new("RGB", (64, 64), "white"))
    assert pixels(changed)[np.asarray(mask) == 0].max() == 0
    assert pixels(changed).max() == 255


def test_a_mask_given_as_an_image_may_be_transparent_too() -> None:
    mask = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (16, 16, 48, 48))
    assert plan_patch(mask, 64, 64).mask.histogram()[255] == 32 * 32
    mask.paste((255, 255, 255, 100), (0, 0, 64, 64))  # less than half there
    with pytest.raises(UsageError, match="the mask is black"):
        plan_patch(mask, 64, 64)

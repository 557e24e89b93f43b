"""rendering/watermark.py: bits in the pixels that nobody sees and `faceid info` finds."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from faceid_cli.builtin.samples import photo_set
from faceid_cli.rendering.watermark import MARK, find_watermark, with_watermark

pytest.importorskip("imwatermark")


def drawn(number: int, size_px: int = 256) -> Image.Image:
    (drawing,) = photo_set(number, 1, 0, size_px)
    return drawing.image.convert("RGB")


def saved(image: Image.Image, **how: object) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, **how)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("size_px", [128, 256])
def test_it_is_found_again_and_hardly_seen(number: int, size_px: int) -> None:
    image = drawn(number, size_px)
    marked, is_marked = with_watermark(image)
    assert is_marked
    assert find_watermark(marked) == MARK
    apart = np.asarray(marked, dtype=float) - np.asarray(image, dtype=float)
    assert np.abs(apart).max() <= 48
    assert np.sqrt((apart**2).mean()) < 6
    assert marked.tobytes() == with_watermark(image)[0].tobytes()


@pytest.mark.parametrize("how", [{"format": "JPEG", "quality": 95}, {"format": "WEBP", "quality": 95}])
def test_it_outlives_a_file_of_our_own_kinds(how: dict[str, object]) -> None:
    assert [find_watermark(saved(with_watermark(drawn(number))[0], **how)) for number in range(4)] == [MARK] * 4


def test_it_often_outlives_more_compression_and_never_a_cut() -> None:
    marked = [with_watermark(drawn(number))[0] for number in range(6)]
    kept = [find_watermark(saved(image, format="JPEG", quality=85)) for image in marked]
    assert kept.count(MARK) >= 3
    assert not any(find_watermark(image.crop((3, 5, 256, 256))) for image in marked)


def test_pictures_without_one_have_none() -> None:
    plain = [drawn(number) for number in range(12)]
    plain += [Image.effect_noise((200, 120), 60).convert("RGB"), Image.new("RGB", (64, 64), (200, 30, 40))]
    assert [find_watermark(image) for image in plain] == [""] * len(plain)


def test_pictures_that_cannot_hold_it_stay_as_they_are() -> None:
    for image in (Image.new("RGB", (32, 32)), Image.new("RGB", (256, 256), (255, 255, 255))):
        marked, is_marked = with_watermark(image)
        assert not is_marked
        assert marked is image


def test_the_mark_of_diffusers_is_known() -> None:
    from imwatermark import WatermarkEncoder

    encoder = WatermarkEncoder()
    encoder.set_watermark("bits", [int(bit) for bit in f"{0b101100111110110010010000011110111011000110011110:b}"])
    pixels = np.ascontiguousarray(np.asarray(Image.effect_noise((512, 512), 40).convert("RGB")))
    marked = Image.fromarray(encoder.encode(pixels, "dwtDct")[:, :, ::-1])
    assert find_watermark(marked) == "Stable Diffusion XL"
    assert find_watermark(saved(marked, format="JPEG", quality=85)) == "", "as docs/provenance.md says"

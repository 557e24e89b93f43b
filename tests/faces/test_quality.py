"""faces/quality.py and faces/verdict.py: what is measured of a face, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from faceid_cli.faces.quality import (
    HASH_BITS,
    Quality,
    blur_of,
    hash_distance,
    likeness_hash,
    measure_face,
)
from faceid_cli.faces.verdict import NEAR_COPY_BITS, PhotoVerdict, flaws_of, near_copies, warnings_of
from faceid_cli.types import Box, Face

BOX = Box(64, 64, 128, 128)
FRONT = ((100.0, 110.0), (156.0, 110.0), (128.0, 140.0), (106.0, 165.0), (150.0, 165.0))
GOOD = Quality(200, 0.3, 0.7, 0.0, 0.0, 0.0, None)


def picture(seed: int = 0, size: int = 256) -> Image.Image:
    """Soft shapes with fine grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 215, (12, 12), dtype=np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    grain = np.asarray(coarse, dtype=float) + rng.normal(0, 12, (size, size))
    return Image.fromarray(grain.clip(0, 255).astype(np.uint8)).convert("RGB")


def measured(image: Image.Image, points: tuple[tuple[float, float], ...] = FRONT) -> Quality:
    return measure_face(image, Face(BOX, points, 1.0), 128)


def test_blur_grows_with_blurring() -> None:
    blurs = [measured(picture().filter(ImageFilter.GaussianBlur(radius))).blur for radius in (0, 1, 2, 4, 8)]
    assert blurs[0] < 0.4 < blurs[1] < min(blurs[2:])
    assert min(blurs[2:]) > 0.7
    assert blur_of(np.full((64, 64), 128.0)) == 1.0
    assert blur_of(np.zeros((2, 2))) == 1.0


def test_motion_in_one_direction_counts() -> None:
    levels = np.asarray(picture().convert("L"), dtype=float)
    smeared = np.mean([np.roll(levels, shift, axis=1) for shift in range(12)], axis=0)
    assert blur_of(smeared) > 0.7


def test_light() -> None:
    assert measured(Image.new("RGB", (256, 256), (255, 255, 255))).clipped == 1
    assert measured(Image.new("RGB", (256, 256), (20, 20, 20))).brightness == pytest.approx(20 / 255)


def test_pose() -> None:
    front = measured(picture())
    assert front.turn == pytest.approx(0)
    assert front.tilt == pytest.approx(0)
    turned = (*FRONT[:2], (150.0, 140.0), *FRONT[3:])
    assert measured(picture(), turned).turn == pytest.approx(22 / 56)
    points = np.array([complex(*point) for point in FRONT]) * np.exp(0.3j)
    tilted = measured(picture(), tuple((point.real, point.imag) for point in points))
    assert tilted.turn == pytest.approx(0, abs=1e-9)
    assert tilted.tilt == pytest.approx(np.degrees(0.3))
    assert measured(picture(), ()).turn is None


def test_what_hides_the_face() -> None:
    face = Face(BOX, FRONT, 1.0)
    whole, half = Image.new("L", (256, 256), 255), Image.new("L", (256, 256), 0)
    half.paste(255, (0, 0, 128, 256))
    assert measure_face(picture(), face, 128, whole).hidden == 0
    assert measure_face(picture(), face, 128, half).hidden == pytest.approx(0.5, abs=0.02)


def test_near_copies_are_near_and_others_far() -> None:
    image = picture()
    first = likeness_hash(image)
    assert hash_distance(first, likeness_hash(image.resize((100, 100)))) <= NEAR_COPY_BITS
    assert hash_distance(first, likeness_hash(image.point(lambda level: level * 0.8))) <= NEAR_COPY_BITS
    assert hash_distance(first, likeness_hash(picture(1))) > 0.25 * HASH_BITS


def test_of_near_copies_the_sharpest_is_kept() -> None:
    soft = Quality(200, 0.5, 0.7, 0.0, 0.0, 0.0, None)
    assert near_copies([0, 1, 2**200 - 1], [soft, GOOD, soft], [0, 0, 0], 230) == {0: 1}
    assert near_copies([7, 7], [None, None], [0, 0], 230) == {1: 0}


def test_of_near_copies_one_without_flaws_is_kept_then_the_larger() -> None:
    """The noise of a dark photo, or of a palette, looks a little sharper than the photo itself."""
    noisy, small = (Quality(px, GOOD.blur - 0.02, 0.7, 0.0, 0.0, 0.0, None) for px in (GOOD.face_px, 60))
    assert near_copies([7, 7], [noisy, GOOD], [1, 0], 230) == {0: 1}
    assert near_copies([7, 7], [small, GOOD], [0, 0], 230) == {0: 1}
    huge = Quality(900, GOOD.blur, 0.7, 0.0, 0.0, 0.0, None)
    assert near_copies([7, 7], [GOOD, huge], [0, 0], GOOD.face_px) == {1: 0}  # more pixels than the crop has are no use


def test_flaws_in_words() -> None:
    assert flaws_of(GOOD, 512) == ([], False)
    bad = Quality(50, 0.8, 0.2, 0.3, -0.5, 0.0, 0.6)
    words, poor = flaws_of(bad, 512)
    assert words == [
        "the face is only 50 px high",
        "blurred",
        "very dark",
        "burnt out",
        "turned far to the side",
        "partly hidden",
    ]
    assert poor


def test_warnings_on_the_set() -> None:
    verdicts = [PhotoVerdict(Path(f"{number}.jpg"), "good") for number in range(4)]
    assert warnings_of(verdicts[:1], [1], doubtful=False) == []
    assert warnings_of(verdicts, [1, 2**200], doubtful=False) == [
        "only 2 of 4 photos can be used: five or more work better"
    ]
    apart = [likeness_hash(picture(seed)) for seed in range(4)]
    assert warnings_of(verdicts[:1], [1], doubtful=False, compared=False) == []
    assert "faces were not compared" in warnings_of(verdicts, apart, doubtful=False, compared=False)[0]
    assert "different people" in warnings_of(verdicts, [1, 2, 3, 4], doubtful=True)[0]
    assert "very much alike" in warnings_of(verdicts, [1, 2, 3, 4], doubtful=False)[0]
    assert warnings_of(verdicts, apart, doubtful=False) == []

"""The second pass at a higher resolution, and ControlNets' pictures."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from faceid_cli.errors import BrokenInstallError, UsageError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.control import Control
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.metadata import from_json, parameters_text, to_json
from faceid_cli.rendering.record import metadata_of


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=int)


def test_the_second_pass_starts_from_the_first_ones_enlarged_picture(tiny_base) -> None:
    first = render(tiny_base, "a cup", {}, [3], RenderConfig(steps=6))[0].image
    enlarged = first.resize((96, 96), Image.Resampling.LANCZOS)
    config = RenderConfig(steps=6, hires=1.5, hires_strength=0.4)
    by_hand_config = RenderConfig(steps=6, width=96, height=96, strength=0.4)
    by_hand = render(tiny_base, "a cup", {}, [3], by_hand_config, init=enlarged)[0].image
    both = render(tiny_base, "a cup", {}, [3], config)[0].image
    assert both.size == (96, 96)
    assert np.array_equal(pixels(both), pixels(by_hand))


def test_progress_counts_both_passes(tiny_base) -> None:
    seen: list[tuple[int, int]] = []
    config = RenderConfig(steps=4, hires=1.25, batch_size=2)
    render(tiny_base, "a cup", {}, [1, 2, 3], config, lambda *done: seen.append(done))
    assert seen == [(step, 12) for step in range(1, 13)]


def test_a_seed_gives_the_same_picture_alone_and_in_a_batch(tiny_base) -> None:
    config = RenderConfig(steps=4, hires=1.5, batch_size=3)
    together = render(tiny_base, "a cup", {}, [3, 4, 5], config)
    alone = render(tiny_base, "a cup", {}, [4], config)[0]
    assert np.abs(pixels(together[1].image) - pixels(alone.image)).max() <= 2


def test_metadata_tells_of_the_second_pass(tiny_base) -> None:
    found = metadata_of(render(tiny_base, "a cup", {}, [3], RenderConfig(steps=2, hires=1.5))[0])
    assert (found.width, found.hires, found.hires_strength) == (64, 1.5, 0.5)
    assert from_json(to_json(found)) == found
    assert "Denoising strength: 0.5, Hires upscale: 1.5, Hires upscaler: Lanczos" in parameters_text(found)


@pytest.mark.parametrize("changes", [{"hires": 0.5}, {"hires": 5}, {"hires_strength": 0}, {"control_scale": -1}])
def test_impossible_settings_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        RenderConfig(**changes)


def test_of_canny_the_edges_are_followed_and_of_the_rest_the_picture_itself() -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    depth = Control("depth", "", None, photo).picture((64, 64))
    assert depth.size == (64, 64)
    square = Image.new("RGB", (40, 40), (20, 20, 20))
    square.paste((230, 230, 230), (10, 10, 30, 30))
    edges = pixels(Control("canny", "", None, square).picture((40, 40)))
    assert set(np.unique(edges)) == {0, 255}
    assert not edges[12:28, 12:28].any()
    assert 50 <= edges[..., 0].sum() / 255 <= 80, "one pixel wide all around"


def test_without_opencv_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(BrokenInstallError, match="OpenCV, which finds edges, cannot be imported") as caught:
        Control("canny", "", None, Image.new("RGB", (8, 8))).picture((8, 8))
    assert "opencv-python-headless" in (caught.value.hint or "")

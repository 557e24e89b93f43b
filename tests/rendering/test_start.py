"""Pictures that start from a picture, batches that fit, and settings of the text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli.errors import OutOfMemoryError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.metadata import from_json, parameters_text, to_json
from faceid_cli.rendering.record import metadata_of


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=int)


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))


def test_little_strength_changes_little(tiny_base, photo):
    far, near = (
        render(tiny_base, "a cup", {}, range(6), RenderConfig(steps=10, strength=strength), init=photo)
        for strength in (1.0, 0.1)
    )
    vae = tiny_base.pipeline.vae
    from PIL import ImageOps

    fitted = torch.from_numpy(np.asarray(ImageOps.fit(photo, (64, 64)), dtype=np.float32) / 127.5 - 1)
    with torch.no_grad():
        decoded = vae.decode(vae.encode(fitted.permute(2, 0, 1)[None]).latent_dist.mode()).sample[0]
    original = ((decoded.clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    changes = [np.mean([np.abs(pixels(each.image) - original) for each in renders]) for renders in (near, far)]
    assert changes[0] < changes[1]
    assert near[0].image.size == (64, 64)


def test_at_least_one_step_is_taken(tiny_base, photo):
    seen = []
    config = RenderConfig(steps=1, strength=0.1)
    render(tiny_base, "a cup", {}, [3], config, lambda *done: seen.append(done), init=photo)
    assert seen == [(1, 1)]


def test_a_seed_gives_the_same_picture_alone_and_in_a_batch(tiny_base, photo):
    config = RenderConfig(steps=4, strength=0.5, batch_size=3)
    together = render(tiny_base, "a cup", {}, [3, 4, 5], config, init=photo)
    alone = render(tiny_base, "a cup", {}, [4], config, init=photo)[0]
    assert np.abs(pixels(together[1].image) - pixels(alone.image)).max() <= 2
    assert not np.array_equal(pixels(together[0].image), pixels(alone.image))


def test_metadata_tells_of_the_picture_it_started_from(tiny_base, photo):
    config = RenderConfig(steps=2, strength=0.5, clip_skip=1)
    found = metadata_of(render(tiny_base, "a cup", {}, [3], config, init=photo)[0])
    assert found.clip_skip == 1
    assert found.strength == 0.5
    assert from_json(to_json(found)) == found
    assert "Clip skip: 2, Denoising strength: 0.5" in parameters_text(found)
    plain = metadata_of(render(tiny_base, "a cup", {}, [3], RenderConfig(steps=1))[0])
    assert plain.init == ""
    assert "Denoising" not in parameters_text(plain)


def test_a_batch_is_halved_until_it_fits(tiny_base):
    expected = render(tiny_base, "a cup", {}, [1, 2, 3, 4, 5], RenderConfig(steps=1, batch_size=1))
    rows: list[int] = []

    def small_memory(module: object, arguments: tuple[torch.Tensor, ...]) -> None:
        rows.append(len(arguments[0]))
        if len(arguments[0]) > 4:  # two pictures, each with and without the prompt
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    tiny_base.unet.register_forward_pre_hook(small_memory)
    with pytest.raises(OutOfMemoryError) as caught:
        render(tiny_base, "a cup", {}, [1, 2, 3, 4, 5], RenderConfig(steps=1, batch_size=5))
    assert caught.value.hint == "render fewer pictures at once: --batch 2, or --batch auto"
    rows.clear()
    found = render(tiny_base, "a cup", {}, [1, 2, 3, 4, 5], RenderConfig(steps=1, batch_size=5, fit_batch=True))
    assert rows == [10, 4, 4, 2]
    for first, second in zip(found, expected, strict=True):
        assert np.abs(pixels(first.image) - pixels(second.image)).max() <= 2

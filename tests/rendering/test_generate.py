"""rendering/generate.py: a seed is a picture, the stock pipeline is left as found, K = V changes nothing."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from faceid_cli.errors import OutOfMemoryError, PromptTooLongError, UsageError
from faceid_cli.orders import SCHEDULERS, RenderConfig
from faceid_cli.orders.sampling import Sampling
from faceid_cli.rendering.generate import render, render_batches
from faceid_cli.rendering.metadata import read_metadata
from faceid_cli.rendering.passes import initial_noise
from faceid_cli.rendering.prompts import place_people
from faceid_cli.rendering.record import metadata_of
from faceid_cli.rendering.save import plan_output, save_render
from faceid_cli.types import IdentityTokens, Render

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel

FAST = RenderConfig(steps=3, guidance_scale=4.0)
TOLERANCE = 2


def _tokens(base: BaseModel, stages: int = 5, seed: int = 0, split: bool = True) -> IdentityTokens:
    generator = torch.Generator().manual_seed(seed)
    scale = base.text_encoder.get_input_embeddings().weight.std()
    keys = torch.randn((stages, 1, base.text_width), generator=generator) * scale
    values = torch.randn((stages, 1, base.text_width), generator=generator) * scale if split else keys
    return IdentityTokens({"text_encoder": keys}, {"text_encoder": values})


def _word_tokens(base: BaseModel, word: str, stages: int = 5) -> IdentityTokens:
    """A person whose features are an ordinary word's embedding, in every stage, for K and for V."""
    (token,) = base.tokenizer(word, add_special_tokens=False).input_ids
    row = base.text_encoder.get_input_embeddings().weight[token].detach().clone()
    features = {"text_encoder": row.expand(stages, 1, -1).clone()}
    return IdentityTokens(features, features)


def _pixels(picture: Render) -> np.ndarray:
    return np.asarray(picture.image).astype(int)


def _stock(base: BaseModel, prompt: str, seed: int, config: RenderConfig) -> np.ndarray:
    noise, generator = initial_noise(base, seed, base.size_px, base.size_px)
    output = base.pipeline(
        prompt,
        negative_prompt=config.negative_prompt,
        latents=noise,
        generator=generator,
        num_inference_steps=config.steps,
        guidance_scale=config.suiting(False).sampler.guidance_scale,
    )
    return np.asarray(output.images[0]).astype(int)


@pytest.mark.parametrize("guidance_scale", [1.0, 6.0])
def test_equal_keys_and_values_give_the_very_bits_of_the_stock_pipeline(
    tiny_base: BaseModel, guidance_scale: float
) -> None:
    config = RenderConfig(steps=5, guidance_scale=guidance_scale, negative_prompt="old")
    people = {"alice": _word_tokens(tiny_base, "woman")}
    (picture,) = render(tiny_base, "a photo of <alice> at night", people, [3], config)
    assert np.array_equal(_pixels(picture), _stock(tiny_base, "a photo of woman at night", 3, config))


def test_a_prompt_without_people_is_the_stock_pipeline(tiny_base: BaseModel) -> None:
    (picture,) = render(tiny_base, "a photo of a cup", {}, [1], FAST)
    assert np.array_equal(_pixels(picture), _stock(tiny_base, "a photo of a cup", 1, FAST))


def test_the_split_and_the_stages_change_the_picture(tiny_base: BaseModel) -> None:
    tokens = _tokens(tiny_base)
    same = IdentityTokens(tokens.keys, tokens.keys)
    first = {name: value[:1] for name, value in tokens.keys.items()}
    one_stage = IdentityTokens(first, first)
    pictures = [render(tiny_base, "<a>", {"a": kind}, [0], FAST)[0] for kind in (tokens, same, one_stage)]
    assert not np.array_equal(_pixels(pictures[0]), _pixels(pictures[1]))
    assert not np.array_equal(_pixels(pictures[1]), _pixels(pictures[2]))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_seed_gives_the_same_picture_alone_and_in_any_batch(tiny_base: BaseModel, scheduler: str) -> None:
    people = {"alice": _tokens(tiny_base)}
    seeds = [7, 1, 4, 7, 2]

    def rendered(batch_size: int) -> list[np.ndarray]:
        config = RenderConfig(steps=4, guidance_scale=4.0, scheduler=scheduler, batch_size=batch_size)
        return [_pixels(picture) for picture in render(tiny_base, "<alice> at night", people, seeds, config)]

    alone, pairs, together = rendered(1), rendered(2), rendered(5)
    for one, two, five in zip(alone, pairs, together, strict=True):
        assert np.abs(one - two).max() <= TOLERANCE
        assert np.abs(one - five).max() <= TOLERANCE
        assert (one == five).mean() > 0.95
    assert np.array_equal(alone[0], alone[3])
    assert np.abs(alone[0] - alone[1]).max() > 10 * TOLERANCE


def test_the_global_random_state_plays_no_part(tiny_base: BaseModel) -> None:
    people, config = {"a": _tokens(tiny_base)}, RenderConfig(steps=3, scheduler="euler-a")
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    (first,) = render(tiny_base, "<a>", people, [5], config)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    (second,) = render(tiny_base, "<a>", people, [5], config)
    assert np.array_equal(_pixels(first), _pixels(second))


def test_the_base_model_is_left_as_found_also_after_an_error(tiny_base: BaseModel) -> None:
    people = {"a": _tokens(tiny_base)}
    scheduler = tiny_base.pipeline.scheduler
    expected = _stock(tiny_base, "a cup", 0, FAST)

    def fail(done: int, total: int) -> None:
        raise ArithmeticError("stop")

    render(tiny_base, "<a>", people, [0], RenderConfig(steps=2, scheduler="unipc"))
    with pytest.raises(ArithmeticError):
        render(tiny_base, "<a>", people, [0], RenderConfig(steps=2, scheduler="unipc"), fail)
    assert tiny_base.pipeline.scheduler is scheduler
    hooks = [m for m in tiny_base.unet.modules() if m._forward_pre_hooks or m._forward_hooks]
    assert hooks == []
    assert np.array_equal(_stock(tiny_base, "a cup", 0, FAST), expected)


def test_several_people_and_sizes_that_are_not_square(tiny_base: BaseModel) -> None:
    people = {"alice": _tokens(tiny_base, seed=1), "bob": _tokens(tiny_base, seed=2)}
    config = RenderConfig(steps=2, width=96, height=72)
    (picture,) = render(tiny_base, place_people("at night", list(people)), people, [0], config)
    assert picture.image.size == (96, 72)
    assert picture.request.names == ("alice", "bob")
    assert picture.settings["prompt"] == "a photo of <alice> and <bob> at night"


def test_progress_counts_every_step_of_every_batch(tiny_base: BaseModel) -> None:
    seen: list[tuple[int, int]] = []
    config = RenderConfig(steps=2, batch_size=2)
    render(tiny_base, "a cup", {}, [0, 1, 2], config, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_batches_come_one_by_one(tiny_base: BaseModel) -> None:
    batches = render_batches(tiny_base, "a cup", {}, [0, 1, 2], RenderConfig(steps=1, batch_size=2))
    assert [[picture.request.seed for picture in batch] for batch in batches] == [[0, 1], [2]]


def test_a_saved_picture_says_how_to_repeat_it(tiny_base: BaseModel, tmp_path: Path) -> None:
    people = {"alice": _tokens(tiny_base)}
    config = RenderConfig(steps=2, scheduler="euler", guidance_scale=3.0, negative_prompt="old")
    (picture,) = render(tiny_base, "<alice> at night", people, [9], config)
    saved = save_render(picture, plan_output(tmp_path, "alice-9", 1), metadata_of(picture, ["0a"]))
    assert saved.path is not None
    found = read_metadata(saved.path)
    assert found is not None
    assert found.identity_ids == ("0a",)
    assert found.base_fingerprint == tiny_base.fingerprint
    assert found.base_model == Path(tiny_base.source).name
    folder = str(Path(tiny_base.source).parent).encode()
    assert folder not in saved.path.read_bytes(), "where files lie is nobody else's business"
    again = RenderConfig(**{field.name: getattr(found, field.name) for field in fields(Sampling)})
    (repeated,) = render(tiny_base, found.prompt, people, [found.seed], again)
    assert np.array_equal(_pixels(repeated), _pixels(picture))


def test_bad_requests_are_refused_before_anything_is_rendered(tiny_base: BaseModel) -> None:
    people = {"alice": _tokens(tiny_base)}
    with pytest.raises(UsageError, match=r"mentions <bob>"):
        render_batches(tiny_base, "<bob>", people, [0], FAST)
    with pytest.raises(UsageError, match=r"seed is -1"):
        render_batches(tiny_base, "<alice>", people, [0, -1], FAST)
    with pytest.raises(PromptTooLongError, match=r"fall off"):
        render_batches(tiny_base, "<alice> " + "cup " * 60 + "beach", people, [0], FAST)
    with pytest.raises(PromptTooLongError, match=r"fall off"):
        render_batches(tiny_base, "<alice>", people, [0], RenderConfig(negative_prompt="old " * 60))


def test_out_of_memory_says_what_to_do(tiny_base: BaseModel) -> None:
    config = RenderConfig(steps=1, width=2**23, height=2**23)
    with pytest.raises(OutOfMemoryError) as caught:
        render(tiny_base, "a cup", {}, [0], config)
    assert caught.value.hint == "give --low-vram, or render smaller pictures (--size)"


def test_a_text_encoder_that_rests_elsewhere_does_not_lead_the_work_astray(tiny_base: BaseModel) -> None:
    """With little memory it is on another device than UNet and autoencoder while pictures are drawn."""
    (expected,) = render(tiny_base, "a cup", {}, [1], FAST)
    batches = render_batches(tiny_base, "a cup", {}, [1], FAST)
    kind = type(tiny_base.pipeline)
    tiny_base.text_encoder.to("meta")
    ((found,),) = batches
    assert found.image.tobytes() == expected.image.tobytes()
    assert type(tiny_base.pipeline) is kind


def test_fresh_noise_at_each_step_belongs_to_ddim_and_to_the_seed(tiny_base: BaseModel) -> None:
    def picture(**more: object) -> np.ndarray:
        return _pixels(render(tiny_base, "a cup", {}, [3], RenderConfig(steps=3, **more))[0])

    assert np.array_equal(picture(eta=0.5), picture(eta=0.5))
    assert not np.array_equal(picture(eta=0.5), picture())
    with pytest.raises(UsageError, match="--eta means nothing to the scheduler euler"):
        RenderConfig(eta=0.5, scheduler="Euler")

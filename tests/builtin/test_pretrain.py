"""What the training recipes rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.pretrain.autoencoder import train as train_autoencoder
from faceid_cli.builtin.pretrain.concept_check import effect, errors
from faceid_cli.builtin.pretrain.dataset import (
    CROP_HEIGHT,
    CROP_WIDTH,
    LATENT_SIZE,
    TIMESTEPS,
    Captioner,
    Pool,
    crop_corner,
    importance_of,
)
from faceid_cli.builtin.pretrain.diffusion import Model, load_shipped, noised, train
from faceid_cli.builtin.pretrain.latents import encode, encode_shard, load_autoencoder, take
from faceid_cli.builtin.pretrain.lesson import Lesson, lesson_examples, mixed, prepare, teach
from faceid_cli.builtin.pretrain.package import package_pipeline
from faceid_cli.builtin.pretrain.pictures import TWINS_EVERY, Example, draw_shard, pixels_of, twins
from faceid_cli.builtin.pretrain.tokenizer import WINDOW, build_tokenizer
from faceid_cli.builtin.sampling import random_picture
from faceid_cli.kept.paths import builtin_model_dir


@pytest.mark.slow
def test_a_tokenizer_keeps_the_numbers_that_weights_were_trained_with(tmp_path: Path) -> None:
    first = build_tokenizer(tmp_path).get_vocab()
    files = {name: (tmp_path / name).read_bytes() for name in ("vocab.json", "merges.txt")}
    again = build_tokenizer(tmp_path)
    assert again.get_vocab() == first
    assert again.model_max_length == WINDOW
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    shipped = build_tokenizer(builtin_model_dir() / "tokenizer")
    assert set(shipped.get_vocab()) >= {"basketball</w>", "eiffel</w>"}


def test_faces_and_things_count_more_than_their_area() -> None:
    rng = np.random.default_rng(4)
    for number in range(20):
        picture = random_picture([person_from_seed(number)], rng)
        weights = importance_of(picture)
        assert weights.shape == (LATENT_SIZE, LATENT_SIZE)
        figure = picture.figures[0]
        assert weights[int(figure.y / 4), int(figure.x / 4)] == 3
        assert weights[0, 0] == 1


def test_crops_lie_inside_the_picture_and_show_a_face() -> None:
    rng = np.random.default_rng(5)
    for number in range(40):
        people = [person_from_seed(number + place) for place in range(1 + number % 3)]
        picture = random_picture(people, rng)
        for place, figure in enumerate(picture.figures):
            row, column = crop_corner(picture, place)
            assert 0 <= row <= LATENT_SIZE - CROP_HEIGHT
            assert 0 <= column <= LATENT_SIZE - CROP_WIDTH
            assert row <= figure.y / 4 <= row + CROP_HEIGHT
            assert column <= figure.x / 4 <= column + CROP_WIDTH


def test_twins_differ_by_one_word_which_one_caption_always_says(captioner: Captioner) -> None:
    for first, second in pairwise_twins(twins(40, ("eyes closed", "cat"), np.random.default_rng(3))):
        assert first.word is not None
        assert first.twin is not None
        shown, unshown = (example.picture.figures[first.twin] for example in (first, second))
        assert first.word in (*shown.attributes, shown.held)
        assert first.word not in (*unshown.attributes, unshown.held)
        assert shown.person == unshown.person
        assert replace(first.picture, figures=second.picture.figures) == second.picture
        said = captioner.tokenizer.decode(captioner.ids([first])[0])
        unsaid = captioner.tokenizer.decode(captioner.ids([second])[0])
        key = "closed" if first.word == "eyes closed" else "cat "
        assert key in said
        assert key not in unsaid or len(first.people) > 1  # another may have it, too


def test_a_thing_is_held_in_one_hand_by_a_rule() -> None:
    rng = np.random.default_rng(6)
    for number in range(200):
        picture = random_picture([person_from_seed(number + place) for place in range(1 + number % 3)], rng)
        last = len(picture.figures) - 1
        for place, figure in enumerate(picture.figures):
            assert not figure.held or figure.hand == (-1 if place == last > 0 else 1)


def test_batches_of_twins_share_noise_and_look_where_they_differ(pool: Pool) -> None:
    for kind in ("twin whole", "twin crop"):
        batch = pool.batch(kind, 4)
        assert torch.equal(batch.noise[::2], batch.noise[1::2])
        assert torch.equal(batch.moments[::2], batch.moments[1::2])
        assert torch.equal(batch.difference[::2], batch.difference[1::2])
        same = batch.difference == 0
        distance = (batch.latents[::2] - batch.latents[1::2]).norm(dim=1, keepdim=True)
        assert distance[same[::2]].mean() < 0.2 * distance[~same[::2]].mean()
        torch.testing.assert_close(batch.importance.mean(dim=(1, 2, 3)), torch.ones(4))


def test_batches_of_a_kind_have_its_shape_and_its_timesteps(pool: Pool) -> None:
    for kind, (_, quantiles) in TIMESTEPS.items():
        batch = pool.batch(kind, 8)
        size = (CROP_HEIGHT, CROP_WIDTH) if kind.endswith("crop") else (LATENT_SIZE, LATENT_SIZE)
        assert batch.latents.shape == (8, 4, *size) == batch.noise.shape
        assert quantiles[0] <= float(batch.moments.min())
        assert float(batch.moments.max()) <= quantiles[-1]


@pytest.mark.slow
def test_training_goes_on_from_the_shipped_weights_and_gives_a_model_that_diffusers_loads(
    work: Path, tmp_path: Path
) -> None:
    train(work, 0.05, 2, "cpu", shards=TWINS_EVERY)
    folder = package_pipeline(load_autoencoder(work, "cpu"), tmp_path / "model", work / "diffusion/average.safetensors")
    made = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    shipped = StableDiffusionPipeline.from_pretrained(builtin_model_dir(), torch_dtype=torch.float32)
    for name in ("unet", "text_encoder", "vae"):
        theirs, ours = (dict(getattr(pipeline, name).named_parameters()) for pipeline in (shipped, made))
        furthest = max(float((ours[key] - theirs[key]).detach().abs().max()) for key in theirs)
        assert furthest < 0.02
        assert name == "vae" or furthest > 0
    assert json.loads((work / "diffusion/state.json").read_text())["step"] > 0


def test_a_lesson_keeps_what_the_model_said_where_twins_are_alike(pool: Pool) -> None:
    model = Model()
    load_shipped(model, builtin_model_dir())
    lesson, batch = Lesson(model, 1e-4), pool.batch("twin crop", 4)
    _, _, target, weights = lesson.aims(batch)
    noisy, timesteps, truth, plain = noised(batch, lesson.alphas_cumprod)
    with torch.no_grad():
        said = model.unet(noisy, timesteps, encoder_hidden_states=model.context(batch)).sample
    alike = (batch.difference == 0).expand_as(target)
    most = (batch.difference > 0.9).expand_as(target)
    torch.testing.assert_close(target[alike], said[alike], atol=1e-4, rtol=1e-3)
    assert (target - truth)[most].abs().mean() < 0.25 * (said - truth)[most].abs().mean()
    torch.testing.assert_close(weights[batch.difference == 0], plain[batch.difference == 0])


def test_words_that_the_shipped_model_knows_move_its_text_and_lessen_its_error() -> None:
    model = Model()
    load_shipped(model, builtin_model_dir())
    model.eval().requires_grad_(False)
    examples = twins(3, ("eyes closed",), np.random.default_rng(1))
    latents = encode(pixels_of(examples), load_autoencoder(builtin_model_dir(), "cpu")).float()
    with_word, without = errors(model, "eyes closed", latents)
    assert with_word < 0.95 * without
    assert effect(model, "eyes closed") > 0.2


@pytest.mark.slow
def test_a_lesson_moves_what_reads_words_and_leaves_people_as_they_are(tmp_path: Path, captioner: Captioner) -> None:
    autoencoder = load_autoencoder(builtin_model_dir(), "cpu")
    prepare(tmp_path, "one hand", 2, autoencoder, captioner, shard=4)
    model = Model()
    load_shipped(model, builtin_model_dir())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    after = teach(tmp_path, model, "one hand", 0.1, 6, 1e-3).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"unet", "text_encoder"}
    half = mixed(before, after, 0.5)
    name = next(name for name in before if name.startswith("unet") and "attn2.to_k" in name)
    torch.testing.assert_close(half[name], (before[name] + after[name]) / 2)


@pytest.mark.slow
def test_a_decoder_learns_alone_and_leaves_the_latents_as_they_are(work: Path) -> None:
    train_autoencoder(work, 0.1, 1, 64, "cpu", decoder_only=True, shards=1)
    learned = load_file(work / "autoencoder" / "model.safetensors")
    shipped = load_autoencoder(builtin_model_dir(), "cpu").state_dict()
    changed = {name.split(".")[0] for name in shipped if not torch.equal(shipped[name], learned[name])}
    assert changed == {"decoder", "post_quant_conv"}


def test_a_lesson_is_given_on_words_and_rules_that_exist() -> None:
    assert all(example.picture.figures[example.twin or 0].held for example in lesson_examples("one hand", 2, 0))
    with pytest.raises(ValueError, match="wings is none of"):
        lesson_examples("wings", 2, 0)


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return Captioner(build_tokenizer(builtin_model_dir() / "tokenizer"), np.random.default_rng(7))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, captioner: Captioner) -> Path:
    """Two small shards, drawn and encoded: an ordinary one and one of twins."""
    folder = tmp_path_factory.mktemp("work")
    autoencoder = load_autoencoder(folder, "cpu")
    for shard in (0, TWINS_EVERY - 1):
        draw_shard(folder, shard, 6)
        encode_shard(folder, shard, autoencoder, captioner)
    return folder


@pytest.fixture
def pool(work: Path) -> Pool:
    found = Pool("cpu", 0)
    assert [take(found, work, shard) for shard in (0, 1, TWINS_EVERY - 1)] == [True, False, True]
    return found


def pairwise_twins(examples: list[Example]) -> list[tuple[Example, Example]]:
    return list(zip(examples[::2], examples[1::2], strict=True))

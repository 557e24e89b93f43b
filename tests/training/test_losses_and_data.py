"""Losses as pure functions, and what training is fed with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from faceid_cli.attention import cross_attention_layers
from faceid_cli.training.data import (
    Draws,
    encode_latents,
    hash_of_crop,
    loss_weights,
    seeded_generator,
)
from faceid_cli.training.losses import (
    Alignment,
    LayerAttention,
    add_noise,
    face_wise_attention_loss,
    reconstruction_loss,
    training_target,
)
from faceid_cli.training.sentences import TEMPLATES, align, sentences_for
from faceid_cli.types import Box, Face, FaceCrop


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer(pixels: int = 16, seed: int = 0, positions: int = 6) -> LayerAttention:
    keys, reference = random(2, 3, positions, 4, seed=seed + 1), random(2, 3, positions, 4, seed=seed + 2)
    return LayerAttention(random(2, 3, pixels, 4, seed=seed), keys, reference, 0.5)


def test_attention_loss_equals_the_formula():
    given = layer()
    target = torch.softmax(given.queries @ given.keys.transpose(2, 3) / 2, dim=-1)
    reference = torch.softmax(given.queries @ given.reference_keys.transpose(2, 3) / 2, dim=-1)
    expected = ((target - reference) ** 2).sum() / (2 * 3 * 16)
    assert torch.allclose(face_wise_attention_loss([given]), expected)


def test_attention_loss_is_zero_for_equal_keys():
    given = layer()
    assert face_wise_attention_loss([replace(given, keys=given.reference_keys)]) == 0


def test_attention_loss_does_not_depend_on_resolution_or_number_of_layers():
    small = layer()
    large = replace(small, queries=small.queries.repeat_interleave(9, dim=2))
    expected = face_wise_attention_loss([small])
    assert torch.allclose(face_wise_attention_loss([large]), expected)
    assert torch.allclose(face_wise_attention_loss([small, large, small]), expected)


def test_attention_loss_moves_target_keys_only():
    given = layer()
    for tensor in (given.queries, given.keys, given.reference_keys):
        tensor.requires_grad_(True)
    face_wise_attention_loss([given]).backward()
    assert given.keys.grad.abs().sum() > 0
    assert given.queries.grad is None
    assert given.reference_keys.grad is None


def test_attention_loss_needs_layers():
    with pytest.raises(ValueError, match="no attention"):
        face_wise_attention_loss([])


def test_alignment_matches_words_of_different_length():
    target, reference = align(start=2, vectors=3, class_tokens=1, length=8)
    assert target.argmax(dim=1).tolist() == [0, 1, 2, 2, 2, 3, 4, 5]
    assert reference.argmax(dim=1).tolist() == [0, 1, 2, 3, 4, 5, 5, 5]
    back, forth = align(start=2, vectors=1, class_tokens=3, length=8)
    assert torch.equal(back, reference)
    assert torch.equal(forth, target)
    same, also = align(start=2, vectors=1, class_tokens=1, length=8)
    assert torch.equal(same, torch.eye(8))
    assert torch.equal(also, torch.eye(8))


def test_aligned_loss_compares_words_not_positions():
    """Three positions that together attend as the one class position does are no difference."""
    reference_keys = random(1, 1, 8, 1)  # with queries of 1, these are the logits
    logits = reference_keys.flatten()
    third = logits[2:3] - torch.log(torch.tensor(3.0))
    tail = torch.logsumexp(logits[5:], dim=0, keepdim=True)
    keys = torch.cat([logits[:2], third, third, third, logits[3:5], tail]).view(1, 1, 8, 1)
    given = LayerAttention(torch.ones(1, 1, 4, 1), keys, reference_keys, 1.0)
    sides = Alignment(*(side.unsqueeze(0) for side in align(2, 3, 1, 8)))
    assert face_wise_attention_loss([given], sides) < 1e-12
    assert face_wise_attention_loss([given]) > 1e-3


@pytest.mark.parametrize("zero_snr", [True, False])
def test_noise_and_targets_agree_with_the_schedulers(zero_snr):
    scheduler = DDIMScheduler(rescale_betas_zero_snr=zero_snr, prediction_type="v_prediction")
    latents, noise = random(4, 8, 5, 7), random(4, 8, 5, 7, seed=1)
    timesteps = torch.tensor([0, 250, 700, 999])
    noisy = add_noise(latents, noise, timesteps, scheduler.alphas_cumprod)
    assert torch.allclose(noisy, scheduler.add_noise(latents, noise, timesteps))
    velocity = training_target("v_prediction", latents, noise, timesteps, scheduler.alphas_cumprod)
    assert torch.allclose(velocity, scheduler.get_velocity(latents, noise, timesteps))
    assert training_target("epsilon", latents, noise, timesteps, scheduler.alphas_cumprod) is noise
    assert training_target("sample", latents, noise, timesteps, scheduler.alphas_cumprod) is latents
    if zero_snr:
        assert torch.equal(noisy[3], noise[3])
    with pytest.raises(ValueError, match="unknown prediction type 'flow'"):
        training_target("flow", latents, noise, timesteps, scheduler.alphas_cumprod)


def test_reconstruction_loss_is_the_mean_square():
    assert reconstruction_loss(torch.full((2, 3), 3.0, dtype=torch.bfloat16), torch.ones(2, 3)) == 4.0


def make_draws(seed: int = 0) -> Draws:
    return Draws(seed, pictures=3, sentences=4, timesteps=1000, latent_shape=(2, 3, 3))


def test_draws_are_seeded_and_can_go_on():
    first, second = make_draws(), make_draws()
    first.draw(5)
    state = first.state()
    expected = first.draw(5)
    second.restore(state)
    again = second.draw(5)
    for name in ("pictures", "sentences", "timesteps", "noise"):
        assert torch.equal(getattr(expected, name), getattr(again, name))
    assert not torch.equal(make_draws(1).draw(5).noise, make_draws(0).draw(5).noise)


def test_streams_of_purposes_differ():
    assert seeded_generator(0, "a").initial_seed() != seeded_generator(0, "b").initial_seed()


def test_timesteps_are_stratified_and_cover_everything():
    draws = make_draws()
    batches = torch.stack([draws.draw(5).timesteps for _ in range(400)])
    assert all((batches[:, row] // 200 == row).all() for row in range(5))
    assert int(batches.min()) < 5
    assert int(batches.max()) > 994
    single = torch.cat([make_draws(seed).draw(1).timesteps for seed in range(200)])
    assert 400 < single.float().mean() < 600


def crop_of(image: Image.Image) -> FaceCrop:
    return FaceCrop(image, None, "hash", Path("photo.png"))


def test_latents_are_scaled_and_deterministic(tiny_base):
    image = Image.effect_noise((64, 64), 90).convert("RGB")
    first, second = (encode_latents(tiny_base, [crop_of(image)]) for _ in range(2))
    pixels = tiny_base.pipeline.image_processor.preprocess(image)
    with torch.no_grad():
        mean = tiny_base.pipeline.vae.encode(pixels).latent_dist.mean
    assert torch.equal(first, second)
    assert torch.allclose(first, mean * 0.7, atol=1e-6)


def test_mirrored_crops_are_appended(tiny_base):
    image = Image.effect_noise((64, 64), 90).convert("RGB")
    latents = encode_latents(tiny_base, [crop_of(image)], mirror=True)
    flipped = encode_latents(tiny_base, [crop_of(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))])
    assert latents.shape == (2, 8, 8, 8)
    assert torch.equal(latents[1:], flipped)


def test_reference_keys_are_those_of_the_class_word(tiny_base):
    sentences = sentences_for(tiny_base, "face", "woman", vectors=1, with_reference=True)
    assert len(sentences) == len(TEMPLATES["face"])
    text = tiny_base.pipeline.encode_prompt("a photo of the face of woman", "cpu", 1, False)[0]
    assert list(sentences.reference_keys) == list(cross_attention_layers(tiny_base.unet))
    for name, keys in sentences.reference_keys.items():
        to_k = tiny_base.unet.get_submodule(name).to_k
        assert torch.allclose(keys[0].transpose(0, 1).flatten(1), to_k(text)[0], atol=1e-6)
    assert sentences.alignment is None
    assert sentences.positions[0].tolist() == [7]


def test_reference_is_only_made_when_needed(tiny_base):
    assert sentences_for(tiny_base, "photo", "woman", vectors=2, with_reference=False).reference_keys == {}


def test_every_template_has_exactly_one_place_for_the_person():
    for name, templates in TEMPLATES.items():
        assert all(template.count("{}") == 1 for template in templates), name


def test_other_people_count_nothing_in_the_loss():
    image = Image.new("RGB", (64, 64))
    own = Face(Box(8, 8, 24, 24), (), 1.0)
    crop = FaceCrop(image, own, "hash", Path("p.png"), others=(Box(24, 0, 40, 64),))
    latents = torch.zeros(2, 4, 8, 8)
    assert loss_weights([crop_of(image)] * 2, latents) is None
    weights = loss_weights([crop, crop_of(image)], latents)
    assert weights.shape == (2, 1, 8, 8)
    assert weights[1].min() == 1
    assert (weights[0, 0, :, :3] == 1).all()
    assert (weights[0, 0, :, 4:] == 0).all()
    assert weights[0, 0, 1:4, 3].tolist() == [1, 1, 1]  # where heads overlap, the person's own face counts
    assert weights[0, 0, 4:, 3].max() == 0
    prediction, target = torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8)
    target[0, :, :, 4:] = 100
    assert reconstruction_loss(prediction, target, weights) == 1
    mirrored = loss_weights([crop], latents[:1], mirror=True)
    assert torch.equal(mirrored[1], mirrored[0].flip(-1))
    assert hash_of_crop(crop) != hash_of_crop(FaceCrop(image, own, "hash", Path("p.png")))


def test_the_background_counts_as_little_as_is_asked():
    image = Image.new("RGB", (64, 64))
    face = Face(Box(24, 24, 16, 16), (), 1.0)
    crop, other = FaceCrop(image, face, "hash", Path("p.png")), Box(0, 40, 16, 24)
    latents = torch.zeros(1, 4, 8, 8)
    assert loss_weights([crop], latents, background=1.0) is None
    weights = loss_weights([crop], latents, background=0.25)
    assert weights[0, 0, 3:5, 3:5].min() == 1
    assert weights[0, 0, :, 0].tolist() == [0.25] * 8
    assert set(weights.unique().tolist()) == {0.25, 1.0}
    with_other = loss_weights([replace(crop, others=(other,))], latents, background=0.25)
    assert with_other[0, 0, 5:, 0].max() == 0
    assert with_other[0, 0, 0, 0] == 0.25
    mirrored = loss_weights([crop], latents, mirror=True, background=0.25)
    assert torch.equal(mirrored[1], mirrored[0].flip(-1))
    assert loss_weights([replace(crop, face=None)], latents, background=0.25) is None, "no face is known"

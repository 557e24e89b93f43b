"""The losses of a batch: where each row's picture counts, and what each row's sentence is compared with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import ImageOps

from faceid_cli import TrainConfig
from faceid_cli.attention import record_attention, split_attention
from faceid_cli.tokens import ENCODER, class_embedding
from faceid_cli.training import train_identity
from faceid_cli.training.data import Batch, Draws, encode_latents
from faceid_cli.training.engine import Engine, StepLosses
from faceid_cli.training.losses import LayerAttention, face_wise_attention_loss, reconstruction_loss
from faceid_cli.training.sentences import TEMPLATES, sentences_for
from faceid_cli.types import Box, Face, FaceCrop, IdentityTokens


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def batch_of(pictures: list[int], sentences: list[int]) -> Batch:
    rows = len(pictures)
    timesteps = torch.linspace(900, 100, rows).long()
    return Batch(torch.tensor(pictures), torch.tensor(sentences), timesteps, random(rows, 8, 8, 8))


def with_face(crop: FaceCrop, x: float, others: tuple[Box, ...] = ()) -> FaceCrop:
    return replace(crop, face=Face(Box(x, 24, 16, 16), (), 1.0), others=others)


@pytest.fixture
def crops(make_crops) -> list[FaceCrop]:
    """Of a face to the left, and of one to the right beside somebody else."""
    first, second = make_crops(2)
    return [with_face(first, 8), with_face(second, 40, (Box(0, 0, 24, 64),))]


@pytest.mark.parametrize("mirror", [False, True])
def test_each_row_counts_where_its_own_picture_shows_the_person(tiny_base, quick, crops, mirror) -> None:
    config = replace(quick, background_weight=0.25, attention_weight=0.0, mirror=mirror)
    engine = Engine(tiny_base, crops, config)
    module, batch = engine.new_state().module, batch_of([1, 0, 1], [0, 1, 2])
    with split_attention(tiny_base.unet, 5, tiny_base.text_window), torch.no_grad():
        found = engine.losses(module, batch, None).reconstruction
        signal = engine.alphas_cumprod[batch.timesteps].sqrt().view(-1, 1, 1, 1)
        spread = (1 - engine.alphas_cumprod[batch.timesteps]).sqrt().view(-1, 1, 1, 1)
        latents = encode_latents(tiny_base, crops)[batch.pictures]
        noisy = signal * latents + spread * batch.noise
        prediction = engine.prediction(module, engine.sentences[:3], noisy, batch.timesteps)
    squares = (prediction - (signal * batch.noise - spread * latents)).square().mean(dim=1, keepdim=True)
    weights = engine.weights[batch.pictures]
    assert weights[0, 0, :, :3].max() == 0, "somebody else"
    assert set(weights.unique().tolist()) == {0.0, 0.25, 1.0}
    assert found == pytest.approx(float((squares * weights).sum() / weights.sum()), rel=1e-4)


def test_mirror_images_follow_the_pictures_with_their_own_faces(tiny_base, quick, crops) -> None:
    engine = Engine(tiny_base, crops, replace(quick, mirror=True, background_weight=0.25))
    turned = [replace(crop, image=ImageOps.mirror(crop.image)) for crop in crops]
    assert torch.allclose(engine.latents[2:], encode_latents(tiny_base, turned), atol=1e-6)
    assert torch.equal(engine.weights[2:], engine.weights[:2].flip(-1))
    drawn = engine.new_draws().draw(64).pictures
    assert set(drawn.tolist()) == {0, 1, 2, 3}, "they are learned from, too"


def test_a_picture_without_a_known_face_counts_as_a_whole_beside_others(tiny_base, quick, crops, make_crops) -> None:
    faceless = make_crops(3)[2]
    weights = Engine(tiny_base, [crops[0], faceless], replace(quick, background_weight=0.25)).weights
    assert weights[0].min() == 0.25
    assert weights[1].min() == 1


def test_few_places_count_no_less_than_many() -> None:
    prediction, target = torch.zeros(2, 4, 8, 8), torch.full((2, 4, 8, 8), 3.0)
    weights = torch.zeros(2, 1, 8, 8)
    weights[1, 0, 2, 3] = 0.5
    assert reconstruction_loss(prediction, target, weights) == pytest.approx(9.0)


def test_the_total_weighs_the_attention_loss() -> None:
    losses = StepLosses(torch.tensor(2.0), torch.tensor(3.0))
    assert losses.total(TrainConfig(attention_weight=0.5)) == 3.5
    assert losses.total(TrainConfig(attention_weight=0.0)) == 2.0


@pytest.mark.parametrize("class_word", ["person", "woman"])
def test_at_the_class_word_every_row_attends_as_its_own_reference_sentence(
    tiny_base, quick, make_crops, class_word
) -> None:
    engine = Engine(tiny_base, make_crops(1), replace(quick, class_word=class_word, attention_weight=0.1))
    module, batch = engine.new_state().module, batch_of([0] * 4, [3, 0, 1, 2])
    with (
        torch.no_grad(),
        split_attention(tiny_base.unet, 5, tiny_base.text_window),
        record_attention(tiny_base.unet) as record,
    ):
        assert engine.losses(module, batch, record).attention < 1e-10
        start = class_embedding(tiny_base, "man").expand(5, 1, -1)
        assert engine.losses(lambda: (start, start.clone()), batch, record).attention > 1e-6, "nobody else does"


@pytest.mark.parametrize(("class_word", "vectors"), [("old man", 1), ("person", 3)])
def test_the_placeholder_stands_for_the_class_word_whatever_their_lengths(tiny_base, class_word, vectors) -> None:
    sentences = sentences_for(tiny_base, "face", class_word, vectors, with_reference=True)
    batch = sentences[torch.tensor([3, 0])]
    alignment, taken = batch.alignment, len(class_word.split())
    tokenized = [tiny_base.tokenizer(TEMPLATES["face"][place].format(class_word)).input_ids for place in (3, 0)]
    for row, ids in enumerate(tokenized):
        target, reference = alignment.target[row].argmax(dim=1), alignment.reference[row].argmax(dim=1)
        start = int(batch.positions[row, 0])
        assert set(target[start : start + vectors].tolist()) == {start}
        assert set(reference[start : start + taken].tolist()) == {start}
        assert target[:start].tolist() == reference[:start].tolist() == list(range(start))
        end_of_target, end_of_reference = int(batch.mask[row].sum()) - 1, len(ids) - 1
        assert target[end_of_target] == reference[end_of_reference] == start + 1


def test_the_attention_loss_counts_positions_in_full_and_layers_by_their_mean() -> None:
    """One head that looks at the first word instead of the second is wrong by 2, in however many layers."""
    queries = torch.ones(1, 1, 3, 1)
    first, second = (torch.tensor(logits).view(1, 1, 3, 1) for logits in ([50.0, 0.0, 0.0], [0.0, 50.0, 0.0]))
    wrong, right = LayerAttention(queries, first, second, 1.0), LayerAttention(queries, second, second, 1.0)
    assert face_wise_attention_loss([wrong]) == pytest.approx(2.0)
    assert face_wise_attention_loss([wrong, right, right, right]) == pytest.approx(0.5)


def test_every_picture_and_sentence_is_drawn() -> None:
    draws = Draws(0, pictures=3, sentences=4, timesteps=1000, latent_shape=(1, 1, 1))
    batches = [draws.draw(4) for _ in range(20)]
    assert set(torch.cat([batch.pictures for batch in batches]).tolist()) == {0, 1, 2}
    assert set(torch.cat([batch.sentences for batch in batches]).tolist()) == {0, 1, 2, 3}
    within = torch.cat([batch.timesteps for batch in batches]) % 250
    assert within.float().std() > 50, "anywhere in their part of the range"


@pytest.mark.parametrize(("warm_up", "expected"), [(0, 0.1), (9, 0.01)])
def test_the_first_step_goes_as_far_as_the_warm_up_lets_it(tiny_base, make_crops, warm_up, expected) -> None:
    """Adam's first step is as long as the learning rate, whatever the gradient."""
    config = TrainConfig(steps=1, batch_size=5, learning_rate=0.1, warm_up=warm_up, self_attention=False)
    tokens, _ = train_identity(tiny_base, make_crops(1), config)
    moved = (tokens.keys[ENCODER][:, 0] - class_embedding(tiny_base, "person")).abs()
    assert float(moved.median()) == pytest.approx(expected, rel=0.05)


def test_averages_of_keys_and_values_are_each_their_own(tiny_base, quick, make_crops) -> None:
    config = replace(quick, learning_rate_schedule="constant", warm_up=0)  # so that both runs begin alike

    def trained(steps: int, last: int = 0) -> IdentityTokens:
        return train_identity(tiny_base, make_crops(), replace(config, steps=steps, average_last=last))[0]

    averaged, one, two = trained(2, 2), trained(1), trained(2)
    for side in ("keys", "values"):
        found, first, second = (getattr(each, side)[ENCODER] for each in (averaged, one, two))
        assert torch.allclose(found, (first + second) / 2, atol=1e-6)
    assert not torch.allclose(averaged.keys[ENCODER], averaged.values[ENCODER], atol=1e-4)

"""Training options that are off by default: each does what it says, and nothing to the defaults."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faceid_cli.attention import record_attention, split_attention
from faceid_cli.errors import InterruptedRunError, UsageError
from faceid_cli.orders import PRESETS, TrainConfig
from faceid_cli.tokens import ENCODER, class_embedding, embedding_scale
from faceid_cli.tokens.module import turned_back
from faceid_cli.training import train_identity
from faceid_cli.training.data import Draws
from faceid_cli.training.engine import Engine
from faceid_cli.training.initial import search_initial
from faceid_cli.training.losses import min_snr_weights, reconstruction_loss
from faceid_cli.training.schedule import learning_rate_at


@pytest.mark.parametrize("name", ["sefi-paper", "textual-inversion", "prospect"])
def test_better_defaults_do_not_reach_the_recipes_of_others(name) -> None:
    config = PRESETS[name]
    assert config.method == name
    assert (config.loss_weighting, config.timestep_sampling, config.learning_rate_schedule) == (
        "uniform",
        "uniform",
        "constant",
    )
    assert (config.warm_up, config.average_last, config.norm_limit, config.initial_token) == (0, 0, 0.0, "class")
    assert (config.direction_limit, config.other_words_weight, config.stop_by) == (0.0, 0.0, "steps")
    assert (config.background_weight, config.token_space, config.steps) == (1, "embeddings", 300)
    if name == "sefi-paper":
        assert (config.stages, config.split_keys_values, config.self_attention) == (5, True, True)
        assert config.attention_weight == 0.003


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_weighting": "snr"}, "unknown loss weighting 'snr'"),
        ({"timestep_sampling": "often"}, "unknown timestep sampling 'often'"),
        ({"learning_rate_schedule": "linear"}, "unknown learning rate schedule 'linear'"),
        ({"initial_token": "best"}, "unknown initial token 'best'"),
        ({"token_space": "faces"}, "unknown token space 'faces'"),
        ({"steps": -1}, "steps must be 0 or more"),
        ({"background_weight": -0.1}, "background weight is -0.1"),
        ({"background_weight": float("nan")}, "background weight is nan"),
        ({"warm_up": -1}, "warm-up must be 0 or more"),
        ({"average_last": -2}, "number of averaged steps must be 0 or more"),
        ({"norm_limit": -1.0}, "norm limit is -1.0"),
        ({"direction_limit": 1.0}, "direction limit is 1.0"),
        ({"direction_limit": -0.1}, "direction limit is -0.1"),
        ({"other_words_weight": -1.0}, "weight of the other words is -1.0"),
        ({"other_words_weight": float("nan")}, "weight of the other words is nan"),
    ],
)
def test_settings_that_cannot_be(changes, message) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig(**changes)


def test_min_snr_weights_have_a_mean_of_one_and_the_papers_shape() -> None:
    alphas = torch.tensor([0.99, 5 / 6, 0.5, 0.1, 0.0])  # ratios 99, 5, 1, 1/9, 0
    for kind, expected in (
        ("epsilon", [5 / 99, 1, 1, 1, 1]),
        ("v_prediction", [5 / 100, 5 / 6, 1 / 2, (1 / 9) / (10 / 9), 0]),
        ("sample", [5, 5, 1, 1 / 9, 0]),
    ):
        wanted = torch.tensor(expected)
        assert torch.allclose(min_snr_weights(kind, alphas), wanted / wanted.mean(), atol=1e-4)


def test_row_weights_scale_each_rows_error() -> None:
    prediction, target = torch.zeros(2, 1, 2, 2), torch.tensor([1.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    assert float(reconstruction_loss(prediction, target)) == pytest.approx(2.5)
    assert float(reconstruction_loss(prediction, target, row_weights=torch.tensor([3.0, 0.5]))) == pytest.approx(2.5)
    assert float(reconstruction_loss(prediction, target, row_weights=torch.tensor([1.0, 0.0]))) == pytest.approx(0.5)


def test_min_snr_changes_the_loss_and_keeps_it_finite(tiny_base, quick, make_crops) -> None:
    tokens, report = train_identity(tiny_base, make_crops(), replace(quick, loss_weighting="min-snr"))
    plain, _ = train_identity(tiny_base, make_crops(), quick)
    assert all(torch.isfinite(part).all() for part in tokens.keys.values())
    assert not torch.equal(tokens.keys[ENCODER], plain.keys[ENCODER])
    assert all(loss > 0 for loss, _ in report.losses)


def draw_many(sampling: str) -> torch.Tensor:
    draws = Draws(1, pictures=1, sentences=1, timesteps=1000, latent_shape=(1, 1, 1), sampling=sampling)
    return draws.draw(4000).timesteps.float()


def test_importance_sampling_draws_where_it_says() -> None:
    uniform, noisy, middle = (draw_many(sampling) for sampling in ("uniform", "noisy", "middle"))
    assert uniform.mean() == pytest.approx(500, abs=5)
    assert noisy.mean() == pytest.approx(750, abs=10)
    assert middle.mean() == pytest.approx(500, abs=10)
    assert middle.std() < uniform.std() < 300
    for drawn in (uniform, noisy, middle):
        assert drawn.min() >= 0
        assert drawn.max() <= 999


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainConfig(steps=100, learning_rate=1.0, warm_up=9, learning_rate_schedule="cosine")
    rates = [learning_rate_at(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] < 0.001
    constant = PRESETS["sefi-paper"]
    assert {learning_rate_at(step, constant) for step in range(300)} == {constant.learning_rate}


def test_the_last_iterates_are_averaged(tiny_base, quick, make_crops) -> None:
    def trained(steps: int, last: int = 0) -> torch.Tensor:
        return train_identity(tiny_base, make_crops(), replace(quick, steps=steps, average_last=last))[0].keys[ENCODER]

    assert torch.allclose(trained(4, 2), (trained(3) + trained(4)) / 2, atol=1e-6)
    assert torch.allclose(trained(2, 10), (trained(1) + trained(2)) / 2, atol=1e-6)
    assert torch.allclose(trained(4, 1), trained(4), atol=1e-6)


def test_an_averaged_run_resumes_into_the_same_bytes(
    tiny_base, quick, make_crops, tmp_path, stop_after, identity_bytes
) -> None:
    config = replace(quick, average_last=3, learning_rate_schedule="cosine", warm_up=1, checkpoint_every=0)
    unbroken, _ = train_identity(tiny_base, make_crops(), config)
    with pytest.raises(InterruptedRunError):
        train_identity(tiny_base, make_crops(), config, tmp_path / "run", on_step=stop_after(3))
    resumed, _ = train_identity(tiny_base, make_crops(), config, tmp_path / "run", resume=True)
    assert identity_bytes(resumed, tmp_path / "a") == identity_bytes(unbroken, tmp_path / "b")


@pytest.mark.parametrize("self_attention", [True, False])
def test_features_are_no_longer_than_the_limit(tiny_base, quick, make_crops, self_attention) -> None:
    typical = embedding_scale(tiny_base) * tiny_base.text_width**0.5
    config = replace(quick, norm_limit=0.5, learning_rate=0.5, self_attention=self_attention)
    tokens, _ = train_identity(tiny_base, make_crops(), config)
    free, _ = train_identity(tiny_base, make_crops(), replace(config, norm_limit=0.0))
    assert tokens.keys[ENCODER].norm(dim=-1).max() <= 0.5 * typical * 1.0001
    assert free.keys[ENCODER].norm(dim=-1).max() > 0.5 * typical


def test_the_search_starts_from_a_word_that_explains_the_photos_no_worse(tiny_base, quick, make_crops) -> None:
    config = replace(quick, initial_token="search", self_attention=True)
    engine = Engine(tiny_base, make_crops(), config)
    found = search_initial(engine)[ENCODER]
    table = tiny_base.text_encoder.get_input_embeddings().weight
    matches = [index for index in range(len(table)) if torch.equal(table[index], found)]
    assert matches or torch.equal(found, class_embedding(tiny_base, "person"))
    keys, values = engine.new_state().module()
    assert torch.equal(keys, found.expand(5, 1, -1))
    assert torch.equal(values, keys)
    assert torch.equal(search_initial(engine)[ENCODER], found), "the same photos, the same word"
    train_identity(tiny_base, make_crops(), config)
    assert all(not weight.requires_grad and weight.grad is None for weight in tiny_base.unet.parameters())


def cosines(features: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(features, direction, dim=-1)


def test_features_are_turned_back_to_the_limit_at_their_length() -> None:
    direction = torch.tensor([0.0, 1.0, 0.0])
    features = torch.tensor([[1.0, 3.0, 0.0], [3.0, 1.0, 0.0], [0.0, -2.0, 1.0], [0.0, -2.0, 0.0]])
    found = turned_back(features, direction, 0.6)
    assert torch.equal(found[0], features[0]), "within the limit nothing changes"
    assert torch.allclose(found[1], 10**0.5 * torch.tensor([0.8, 0.6, 0.0]), atol=1e-6)
    assert torch.allclose(found[2], 5**0.5 * torch.tensor([0.0, 0.6, 0.8]), atol=1e-6)
    assert torch.isfinite(found).all(), "also of the very opposite, which has no side to turn to"
    assert (cosines(found[:3], direction) >= 0.6 - 1e-6).all()


def test_turned_features_keep_finite_gradients_along_the_limit() -> None:
    features = torch.tensor([[3.0, 1.0, 0.0]], requires_grad=True)
    direction = torch.tensor([0.0, 1.0, 0.0])
    found = turned_back(features, direction, 0.6)
    (cosines(found, direction).sum()).backward()
    assert torch.allclose(features.grad, torch.zeros(1, 3), atol=1e-6), "the limit holds whatever the feature does"
    features.grad = None
    turned_back(features, direction, 0.6)[0, 2].backward()
    assert features.grad[0, 2] > 0
    assert torch.isfinite(features.grad).all()


@pytest.mark.parametrize("self_attention", [True, False])
def test_features_keep_to_the_class_words_direction(tiny_base, quick, make_crops, self_attention) -> None:
    start = class_embedding(tiny_base, "person")
    config = replace(quick, direction_limit=0.95, learning_rate=0.5, self_attention=self_attention)
    limited, _ = train_identity(tiny_base, make_crops(), config)
    free, _ = train_identity(tiny_base, make_crops(), replace(config, direction_limit=0.0))
    assert cosines(limited.keys[ENCODER], start).min() >= 0.95 - 1e-4
    assert cosines(free.keys[ENCODER], start).min() < 0.95


def test_the_penalty_leaves_the_other_words_more(tiny_base, quick, make_crops) -> None:
    config = replace(quick, steps=15, attention_weight=0.0, learning_rate=0.02)

    def lost(weight: float) -> float:
        engine = Engine(tiny_base, make_crops(), replace(config, other_words_weight=1.0))
        tokens, _ = train_identity(tiny_base, make_crops(), replace(config, other_words_weight=weight))
        features = (tokens.keys[ENCODER], tokens.values[ENCODER])
        with (
            torch.no_grad(),
            split_attention(tiny_base.unet, 5, tiny_base.text_window),
            record_attention(tiny_base.unet) as record,
        ):
            return float(engine.losses(_Fixed(features), engine.new_draws().draw(8), record).others)

    assert lost(30.0) < 0.7 * lost(0.0)


class _Fixed:
    """Features that are not learned."""

    def __init__(self, features) -> None:
        self._features = features

    def __call__(self):
        return self._features

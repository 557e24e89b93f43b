"""Training options that are off by default: each does what it says, and nothing to the defaults."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faceid_cli.errors import InterruptedRunError, UsageError
from faceid_cli.orders import PRESETS, TrainConfig
from faceid_cli.tokens import ENCODER
from faceid_cli.training import train_identity
from faceid_cli.training.schedule import learning_rate_at


@pytest.mark.parametrize("name", ["sefi-paper", "textual-inversion", "prospect"])
def test_better_defaults_do_not_reach_the_recipes_of_others(name) -> None:
    config = PRESETS[name]
    assert config.method == name
    assert (config.learning_rate_schedule, config.warm_up, config.average_last) == ("constant", 0, 0)
    assert (config.background_weight, config.initial_token, config.token_space) == (1, "class", "embeddings")
    assert config.steps == 300
    if name == "sefi-paper":
        assert (config.stages, config.split_keys_values, config.self_attention) == (5, True, True)
        assert config.attention_weight == 0.003


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate_schedule": "linear"}, "unknown learning rate schedule 'linear'"),
        ({"initial_token": "best"}, "unknown initial token 'best'"),
        ({"token_space": "faces"}, "unknown token space 'faces'"),
        ({"steps": -1}, "steps must be 0 or more"),
        ({"background_weight": -0.1}, "background weight is -0.1"),
        ({"background_weight": float("nan")}, "background weight is nan"),
        ({"warm_up": -1}, "warm-up must be 0 or more"),
        ({"average_last": -2}, "number of averaged steps must be 0 or more"),
    ],
)
def test_settings_that_cannot_be(changes, message) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig(**changes)


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("  woman ", "woman"),
        ("old\t man", "old man"),
        ("bird-of-prey", "bird-of-prey"),
        ("'50s car", "'50s car"),
        ("человек", "человек"),
        ("व्यक्ति", "व्यक्ति"),
    ],
)
def test_class_words_of_any_script_are_kept_without_what_is_around_them(word, kept) -> None:
    assert TrainConfig(class_word=word).class_word == kept


@pytest.mark.parametrize("word", ["", " ", "(person:2)", "[person]", "<ada>", "man, old", "a_b", "man|woman", "-"])
def test_class_words_that_a_sentence_would_read_otherwise_are_refused(word) -> None:
    with pytest.raises(UsageError, match="class word"):
        TrainConfig(class_word=word)


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

"""Stopping before the last step: by held-out noise, by renders, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from faceid_cli.training.stopping import best_look, held_out_batches, should_stop

from faceid_cli.errors import InterruptedRunError, UsageError
from faceid_cli.orders import TrainConfig
from faceid_cli.tokens import ENCODER
from faceid_cli.training import train_identity
from faceid_cli.training.data import face_weights
from faceid_cli.training.engine import Engine
from faceid_cli.types import Box, Face, Look

RENDERS = TrainConfig(stop_by="renders", patience=2)
HELD_OUT = TrainConfig(stop_by="held-out", patience=2)


def looks(*scores: tuple[float, float | None]) -> list[Look]:
    return [Look(10 * place, *score) for place, score in enumerate(scores, start=1)]


def test_the_kept_look_is_on_the_front_of_identity_and_prompt() -> None:
    seen = looks((0.2, 1.0), (0.5, 0.75), (0.6, 0.5), (0.5, 0.5), (0.5, 0.75))
    best = best_look(seen)
    assert best.step == 20, "0.375 is the highest product, and the first of the equal ones"
    assert not any(look.score > best.score and look.prompt > best.prompt for look in seen)
    assert best_look(looks((-0.3, None), (-0.1, None), (-0.2, None))).step == 20
    assert best_look(looks((-0.3, 0.9), (0.1, 0.2))).step == 20, "a likeness below nothing is worth nothing"


def test_by_renders_training_stops_when_identity_is_flat_and_the_prompt_falls() -> None:
    assert not should_stop(looks((0.2, 1.0), (0.4, 0.8)), RENDERS), "too early to say"
    assert not should_stop(looks((0.2, 1.0), (0.4, 0.8), (0.6, 0.5)), RENDERS), "identity rises"
    assert not should_stop(looks((0.5, 0.8), (0.5, 0.8), (0.5, 0.8)), RENDERS), "the prompt does not fall"
    assert should_stop(looks((0.5, 0.8), (0.5, 0.7), (0.509, 0.7)), RENDERS), "a hundredth is flat"
    assert not should_stop(looks((0.5, 0.8), (0.5, 0.7), (0.52, 0.7)), RENDERS)
    assert should_stop(looks((0.5, None), (0.5, None), (0.4, None)), RENDERS), "of a prompt nobody can judge"
    assert not should_stop(looks((0.5, 0.8), (0.5, 0.1), (0.5, 0.1)), replace(RENDERS, patience=3))


def test_by_held_out_noise_training_stops_when_the_loss_has_not_fallen_for_a_while() -> None:
    assert not should_stop(looks((-0.5, None), (-0.4, None), (-0.45, None)), HELD_OUT)
    assert should_stop(looks((-0.4, None), (-0.45, None), (-0.4, None)), HELD_OUT)
    assert not should_stop(looks((-0.4, None), (-0.45, None), (-0.4, None)), TrainConfig())


@pytest.fixture
def slow(quick) -> TrainConfig:
    """Looks every other step of eight, and stops after two without gain."""
    return replace(quick, steps=8, look_every=2, patience=2, checkpoint_every=0)


class Scores:
    """Scores by the number of the look, and what was scored."""

    def __init__(self, *scores: tuple[float, float | None]) -> None:
        self.scores, self.seen = scores, []

    def __call__(self, tokens) -> tuple[float, float | None]:
        self.seen.append(tokens)
        return self.scores[len(self.seen) - 1]


def test_the_best_step_is_kept_and_the_rest_is_not_trained(
    tiny_base, slow, make_crops, identity_bytes, tmp_path
) -> None:
    config = replace(slow, stop_by="renders")
    scores = Scores((0.4, 1.0), (0.4, 0.5), (0.4, 0.5), (0.9, 0.9))
    tokens, report = train_identity(tiny_base, make_crops(), config, render_scores=scores)
    assert [look.step for look in report.looks] == [2, 4, 6], "the fourth look never comes"
    assert len(report.losses) == 6
    assert report.kept_step == 2
    two, _ = train_identity(tiny_base, make_crops(), replace(slow, steps=2))
    assert identity_bytes(tokens, tmp_path / "kept") == identity_bytes(two, tmp_path / "two")


def test_without_a_reason_to_stop_it_goes_to_the_end_and_keeps_the_best(tiny_base, slow, make_crops) -> None:
    scores = Scores((0.1, 1.0), (0.3, 1.0), (0.5, 1.0), (0.4, 1.0))
    tokens, report = train_identity(tiny_base, make_crops(), replace(slow, stop_by="renders"), render_scores=scores)
    assert [look.step for look in report.looks] == [2, 4, 6, 8]
    assert report.kept_step == 6
    assert torch.equal(tokens.keys[ENCODER], scores.seen[2].keys[ENCODER])


@pytest.mark.parametrize("stopped_at", [3, 4])
def test_a_watched_run_resumes_into_the_same_bytes(
    tiny_base, slow, make_crops, stop_after, identity_bytes, tmp_path, stopped_at
) -> None:
    config = replace(slow, stop_by="renders")
    unbroken, report = train_identity(
        tiny_base, make_crops(), config, render_scores=Scores((0.4, 0.9), (0.5, 0.9), (0.5, 0.8), (0.5, 0.7))
    )
    with pytest.raises(InterruptedRunError):
        train_identity(
            tiny_base,
            make_crops(),
            config,
            tmp_path / "run",
            on_step=stop_after(stopped_at),
            render_scores=Scores((0.4, 0.9), (0.5, 0.9)),
        )
    rest = Scores((0.5, 0.9), (0.5, 0.8), (0.5, 0.7))
    resumed, again = train_identity(tiny_base, make_crops(), config, tmp_path / "run", True, render_scores=rest)
    assert identity_bytes(resumed, tmp_path / "a") == identity_bytes(unbroken, tmp_path / "b")
    assert (again.looks, again.kept_step, again.losses) == (report.looks, report.kept_step, report.losses)
    assert report.kept_step == 4


def test_ctrl_c_while_looking_leaves_a_checkpoint(tiny_base, slow, make_crops, tmp_path) -> None:
    def press(tokens):
        raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="interrupted after step 2 of 8; checkpoint saved"):
        train_identity(tiny_base, make_crops(), replace(slow, stop_by="renders"), tmp_path, render_scores=press)


def test_held_out_noise_is_never_drawn_in_training_and_always_the_same(tiny_base, slow, make_crops) -> None:
    engine = Engine(tiny_base, make_crops(), replace(slow, stop_by="held-out", timestep_sampling="noisy"))
    first, second = held_out_batches(engine), held_out_batches(engine)
    assert sum(len(batch.timesteps) for batch in first) == 16
    assert all(torch.equal(a.noise, b.noise) for a, b in zip(first, second, strict=True))
    assert not any(torch.equal(batch.noise, engine.new_draws().draw(2).noise) for batch in first)
    assert torch.cat([batch.timesteps for batch in first]).float().mean() < 650, "spread evenly, however training draws"


def test_by_held_out_noise_the_step_of_the_least_loss_is_kept(
    tiny_base, slow, make_crops, identity_bytes, tmp_path, stop_after
) -> None:
    config = replace(slow, stop_by="held-out", learning_rate=0.5)
    tokens, report = train_identity(tiny_base, make_crops(), config)
    assert report.kept_step == max(report.looks, key=lambda look: look.score).step
    assert all(look.prompt is None and look.score < 0 for look in report.looks)
    with pytest.raises(InterruptedRunError):
        train_identity(tiny_base, make_crops(), config, tmp_path / "run", on_step=stop_after(3))
    resumed, again = train_identity(tiny_base, make_crops(), config, tmp_path / "run", True)
    assert again.looks == report.looks
    assert identity_bytes(resumed, tmp_path / "a") == identity_bytes(tokens, tmp_path / "b")


def test_only_the_face_counts_on_held_out_noise(make_crops) -> None:
    crop = replace(make_crops(1)[0], face=Face(Box(24, 24, 16, 16), (), 1.0), others=(Box(0, 0, 64, 24),))
    weights = face_weights([crop, make_crops(1)[0]], torch.zeros(2, 8, 8, 8), mirror=True)
    assert weights.shape == (4, 1, 8, 8)
    assert weights[0, 0, 3:5, 3:5].min() == 1
    assert weights[0, 0, 7].max() == 0
    assert weights[0, 0, :3, 0].max() == 0
    assert weights[1].min() == 1, "no face is known"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop_by": "boredom"}, "unknown way to stop 'boredom'"),
        ({"look_every": 0}, "number of steps between looks must be 1 or more"),
        ({"patience": 0}, "patience must be 1 or more"),
        ({"stop_by": "held-out", "average_last": 5}, "stop_by=held-out keeps the best one"),
    ],
)
def test_settings_that_cannot_be(changes, message) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig(**changes)


def test_renders_need_somebody_who_scores_them(tiny_base, slow, make_crops) -> None:
    with pytest.raises(UsageError, match="something must score them"):
        train_identity(tiny_base, make_crops(), replace(slow, stop_by="renders"))

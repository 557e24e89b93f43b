"""rendering/schedulers.py: every sampler keeps the base model's noise schedule and solves the same equation."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import torch

from faceid_cli.errors import UsageError
from faceid_cli.orders import SCHEDULERS, RenderConfig
from faceid_cli.rendering.schedulers import scheduler_for, steps_of_stages

if TYPE_CHECKING:
    from pathlib import Path

    from faceid_cli.backbone import BaseModel

TARGET = torch.tensor([0.6, -0.3, 0.1]).view(1, 3, 1, 1)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_noise_schedule_is_the_base_models(tiny_base: BaseModel, name: str) -> None:
    original = tiny_base.pipeline.scheduler
    scheduler = scheduler_for(tiny_base, name)
    assert scheduler is not original
    for key in ("prediction_type", "rescale_betas_zero_snr", "timestep_spacing", "beta_schedule", "beta_end"):
        assert scheduler.config[key] == original.config[key]
    assert torch.equal(scheduler.betas, original.betas)
    scheduler.set_timesteps(10)
    assert scheduler.timesteps[0] == 999  # zero terminal SNR needs the very last timestep


@pytest.mark.parametrize("steps", [1, 5, 20])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_perfect_model_leads_to_its_picture(tiny_base: BaseModel, name: str, steps: int) -> None:
    """A model that always knows the clean picture must be sampled to just that picture, from pure noise."""
    scheduler = scheduler_for(tiny_base, name)
    scheduler.set_timesteps(steps)
    reference = tiny_base.pipeline.scheduler
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn((1, 3, 8, 8), generator=generator) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        seen = scheduler.scale_model_input(latents, timestep)
        alpha = reference.alphas_cumprod[int(timestep)]
        noise = (seen - alpha.sqrt() * TARGET) / (1 - alpha).sqrt().clamp_min(1e-4)
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * TARGET
        needs_generator = {"generator": generator} if name in ("ddim", "euler", "euler-a") else {}
        latents = scheduler.step(velocity, timestep, latents, **needs_generator, return_dict=False)[0]
    assert torch.isfinite(latents).all()
    assert (latents - TARGET).abs().mean() < 0.05


def test_latents_are_never_clipped(tiny_base: BaseModel) -> None:
    """The schedulers of Stable Diffusion 1.x say nothing about clipping, and DDIM clips by default."""
    from diffusers import PNDMScheduler

    silent = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    tiny_base.pipeline.scheduler = silent
    assert scheduler_for(tiny_base, "ddim").config.clip_sample is False


@pytest.mark.parametrize(
    ("usual", "name"),
    [
        ("DDIM", "ddim"),
        ("Euler a", "euler-a"),
        ("euler_ancestral", "euler-a"),
        ("DPM++ 2M Karras", "dpm++-karras"),
        ("DPM++ 2M SDE Karras", "dpm++-sde-karras"),
        ("dpmpp_2m", "dpm++"),
        ("UniPC", "unipc"),
        ("LCM", "lcm"),
    ],
)
def test_usual_names_are_known_too(usual: str, name: str) -> None:
    assert RenderConfig(scheduler=usual).scheduler == name


def test_unknown_names(tiny_base: BaseModel) -> None:
    with pytest.raises(UsageError, match=r"unknown scheduler 'plms'"):
        scheduler_for(tiny_base, "plms")


def _base(**changes: object) -> BaseModel:
    """What a scheduler needs to know of a base model: its own one."""
    from diffusers import DDIMScheduler

    usual = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    own = DDIMScheduler(**{**usual, "clip_sample": False, "set_alpha_to_one": False, **changes})
    pipeline = SimpleNamespace(scheduler=own)
    return cast("BaseModel", SimpleNamespace(pipeline=pipeline, num_train_timesteps=1000))


def _sampled(base: BaseModel, name: str, steps: int) -> torch.Tensor:
    """What a model that always knows the clean picture is sampled to."""
    scheduler = scheduler_for(base, name, steps)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn((1, 3, 4, 4), generator=generator) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        seen = scheduler.scale_model_input(latents, timestep)
        alpha = scheduler.alphas_cumprod[int(timestep)]
        noise = (seen - alpha.sqrt() * TARGET) / (1 - alpha).sqrt().clamp_min(1e-4)
        outputs = {"epsilon": noise, "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * TARGET}
        output = outputs.get(scheduler.config.prediction_type, TARGET.expand_as(latents))
        needs_generator = {"generator": generator} if name in ("ddim", "euler", "euler-a") else {}
        latents = scheduler.step(output, timestep, latents, **needs_generator, return_dict=False)[0]
    return latents


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_takes_every_number_of_steps(name: str, prediction: str, terminal: bool, spacing: str) -> None:
    base = _base(prediction_type=prediction, rescale_betas_zero_snr=terminal, timestep_spacing=spacing)
    if name == "euler-a" and prediction == "sample":
        with pytest.raises(UsageError, match="euler-a cannot take"):
            scheduler_for(base, name, 20)
        return
    for steps in (1, 2, 7, 21, 25, 60):
        latents = _sampled(base, name, steps)
        assert torch.isfinite(latents).all(), steps
        assert (latents - TARGET).abs().mean() < 0.2, steps


@pytest.mark.parametrize("name", SCHEDULERS)
def test_one_step_begins_at_noise(name: str) -> None:
    scheduler = scheduler_for(_base(), name, 1)
    scheduler.set_timesteps(1)
    assert scheduler.timesteps.tolist() == [999]


@pytest.mark.parametrize("steps", [999, 1000])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_as_many_steps_as_there_are_timesteps(name: str, steps: int) -> None:
    scheduler = scheduler_for(_base(), name, steps)
    scheduler.set_timesteps(steps)
    assert len(scheduler.timesteps) == steps
    assert max(scheduler.timesteps) <= 999


@pytest.mark.parametrize("name", ["dpm++-karras", "dpm++-sde-karras"])
def test_karras_takes_one_step_from_zero_terminal_snr(name: str) -> None:
    """All else is an ordinary Karras schedule, so that every stage has its steps."""
    base = _base(prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")
    scheduler = scheduler_for(base, name, 20)
    scheduler.set_timesteps(20)
    assert scheduler.timesteps.tolist().count(999) == 1
    assert scheduler.begin_index == 0
    found = steps_of_stages(base, name, 20, 20, 5)
    assert sum(found) == 20
    assert min(found) >= 2


def test_what_the_models_own_scheduler_is_does_not_change_which_one_is_meant() -> None:
    from diffusers import DPMSolverMultistepScheduler

    base = _base()
    base.pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
        dict(base.pipeline.scheduler.config), algorithm_type="sde-dpmsolver++", use_exponential_sigmas=True
    )
    plain, karras = scheduler_for(base, "dpm++"), scheduler_for(base, "dpm++-karras")
    assert (plain.config.algorithm_type, plain.config.use_exponential_sigmas) == ("dpmsolver++", False)
    assert karras.config.use_karras_sigmas is True


def test_steps_of_stages_are_counted_from_the_noisiest() -> None:
    base = _base(timestep_spacing="trailing")
    assert steps_of_stages(base, "ddim", 20, 20, 5) == (4, 4, 4, 4, 4)
    assert steps_of_stages(base, "ddim", 20, 12, 5) == (0, 0, 4, 4, 4)
    assert steps_of_stages(base, "lcm", 4, 4, 5) == (1, 1, 1, 1, 0)


def test_a_model_that_predicts_noise_has_no_zero_terminal_snr(tmp_path: Path, tiny_model_builder) -> None:
    """Whatever its file says; training and rendering have one noise schedule."""
    from faceid_cli.backbone import load_base_model
    from faceid_cli.rendering.generate import render

    tiny_model_builder(tmp_path / "model", "epsilon")
    file = tmp_path / "model" / "scheduler" / "scheduler_config.json"
    honest = load_base_model(str(tmp_path / "model"), "cpu", "float32")
    file.write_text(json.dumps({**json.loads(file.read_text()), "rescale_betas_zero_snr": True}))
    claiming = load_base_model(str(tmp_path / "model"), "cpu", "float32")
    assert honest.notes == ()
    assert "does not go with zero terminal SNR" in claiming.notes[0]
    assert torch.equal(claiming.pipeline.scheduler.alphas_cumprod, honest.pipeline.scheduler.alphas_cumprod)
    pictures = [render(base, "a cup", {}, [1], RenderConfig(steps=3))[0].image for base in (honest, claiming)]
    assert pictures[0].tobytes() == pictures[1].tobytes()


def test_nothing_is_said_on_stderr(tiny_base: BaseModel, capfd: pytest.CaptureFixture[str]) -> None:
    for name in SCHEDULERS:
        scheduler_for(tiny_base, name, 20)
    assert capfd.readouterr().err == ""

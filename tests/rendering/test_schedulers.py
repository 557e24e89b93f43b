"""rendering/schedulers.py: every sampler keeps the base model's noise schedule and solves the same equation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from faceid_cli.errors import UsageError
from faceid_cli.orders import SCHEDULERS, RenderConfig
from faceid_cli.rendering.schedulers import scheduler_for

if TYPE_CHECKING:
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

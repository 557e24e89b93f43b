"""Scheduler names -> diffusers schedulers, built from the base model's own noise schedule."""

from __future__ import annotations

from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import UsageError

_SDE: dict[str, Any] = {"algorithm_type": "sde-dpmsolver++"}
_KARRAS: dict[str, Any] = {"use_karras_sigmas": True}
_CLASSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (DDIMScheduler, {}),
    "euler": (EulerDiscreteScheduler, {}),
    "euler-a": (EulerAncestralDiscreteScheduler, {}),
    "dpm++": (DPMSolverMultistepScheduler, {}),
    "dpm++-karras": (DPMSolverMultistepScheduler, _KARRAS),
    "dpm++-sde": (DPMSolverMultistepScheduler, _SDE),
    "dpm++-sde-karras": (DPMSolverMultistepScheduler, {**_SDE, **_KARRAS}),
    "unipc": (UniPCMultistepScheduler, {}),
    "lcm": (LCMScheduler, {}),
}


def scheduler_for(base: BaseModel, name: str) -> Any:
    """Return a new scheduler with the base model's betas, prediction type, terminal SNR and timestep spacing.

    Settings that the model does not state keep the scheduler's own defaults, except that latents are never clipped:
    they are not pixels.

    Raises:
        UsageError: Unknown name.
    """
    if name not in _CLASSES:
        raise UsageError(f"unknown scheduler {name!r}", f"choose one of: {', '.join(_CLASSES)}")
    config = dict(base.pipeline.scheduler.config)
    if name in ("ddim", "lcm") and "clip_sample" not in config:
        config["clip_sample"] = False
    kind, changes = _CLASSES[name]
    return kind.from_config({**config, **changes})

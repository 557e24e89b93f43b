"""Scheduler names -> diffusers schedulers, built from the base model's own noise schedule."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)

from faceid_cli.attention.hooks import stages_of
from faceid_cli.backbone import BaseModel
from faceid_cli.errors import UsageError

_USUAL_SIGMA = 14.6  # the largest of Stable Diffusion's own schedule; with zero terminal SNR the last one is infinite
_LCM_STEPS = 50  # that models are distilled from, unless they say otherwise


class _DPMSolver(DPMSolverMultistepScheduler):
    """DPM-Solver++ that can take Karras' sigmas with zero terminal SNR.

    Karras' rule spaces sigmas by their seventh root. From an infinite one, which diffusers takes for 4096, most of the
    steps would fall between there and the second largest, all of them at the last timestep; and diffusers would begin
    at the second of equal timesteps. Here the first step goes from there to the largest sigma of ordinary schedules,
    and the others follow the rule.
    """

    def _convert_to_karras(self, in_sigmas: Any, num_inference_steps: int) -> Any:
        largest = float(in_sigmas[0])
        if largest < 10 * _USUAL_SIGMA:
            return super()._convert_to_karras(in_sigmas, num_inference_steps)
        ordinary = np.array([_USUAL_SIGMA, *in_sigmas[in_sigmas < _USUAL_SIGMA]])
        return np.concatenate([[largest], super()._convert_to_karras(ordinary, num_inference_steps - 1)])

    def set_timesteps(self, *arguments: Any, **named: Any) -> None:
        super().set_timesteps(*arguments, **named)
        self.set_begin_index(0)  # with many steps the first two may round to one timestep; pipelines set it later on


# What a base model's own scheduler says of another way to choose sigmas, or of pixels, means nothing to these.
_PLAIN: dict[str, Any] = {
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "use_lu_lambdas": False,
    "use_flow_sigmas": False,
    "thresholding": False,
    "clip_sample": False,
}
_DPM: dict[str, Any] = {"algorithm_type": "dpmsolver++", "final_sigmas_type": "zero"}
_SDE: dict[str, Any] = {"algorithm_type": "sde-dpmsolver++", "final_sigmas_type": "zero"}
_KARRAS: dict[str, Any] = {"use_karras_sigmas": True}
_CLASSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (DDIMScheduler, {}),
    "euler": (EulerDiscreteScheduler, {}),
    "euler-a": (EulerAncestralDiscreteScheduler, {}),
    "dpm++": (_DPMSolver, _DPM),
    "dpm++-karras": (_DPMSolver, {**_DPM, **_KARRAS}),
    "dpm++-sde": (_DPMSolver, _SDE),
    "dpm++-sde-karras": (_DPMSolver, {**_SDE, **_KARRAS}),
    "unipc": (UniPCMultistepScheduler, {}),
    "lcm": (LCMScheduler, {}),
}


def scheduler_for(base: BaseModel, name: str, steps: int | None = None) -> Any:
    """Return a new scheduler with the base model's betas, prediction type, terminal SNR and timestep spacing.

    Settings that the model does not state keep the scheduler's own defaults, except that latents are never clipped:
    they are not pixels. Noise cannot be predicted where nothing but noise is, so models that do never get a zero
    terminal SNR.

    Args:
        base: The base model.
        name: One of `orders.SCHEDULERS`.
        steps: How many steps are to be taken; None where that is not known yet.

    Raises:
        UsageError: Unknown name, or one that cannot take what the model predicts.
    """
    if name not in _CLASSES:
        raise UsageError(f"unknown scheduler {name!r}", f"choose one of: {', '.join(_CLASSES)}")
    config = dict(base.pipeline.scheduler.config)
    unstated = set(config.pop("_use_default_values", ()))  # diffusers' own list; what is in it is passed over
    kind, changes = _CLASSES[name]
    changes = {**_PLAIN, **changes}
    prediction = config.get("prediction_type", "epsilon")
    if name == "euler-a" and prediction == "sample":
        raise UsageError("euler-a cannot take a base model that predicts pictures", "use euler, or another scheduler")
    if prediction == "epsilon":
        changes["rescale_betas_zero_snr"] = False
    spacing = "" if "timestep_spacing" in unstated else config.get("timestep_spacing", "")
    # Other spacings take a single step at a timestep without noise, and the first of a thousand beyond the last
    # timestep; ddim's formula does not fit "linspace".
    is_extreme = steps is not None and (steps == 1 or steps >= base.num_train_timesteps)
    if is_extreme or (name == "ddim" and spacing == "linspace"):
        changes["timestep_spacing"] = "trailing"
    if name == "lcm":
        changes["original_inference_steps"] = max(config.get("original_inference_steps") or _LCM_STEPS, steps or 0)
    known = inspect.signature(kind.__init__).parameters
    changes = {key: value for key, value in changes.items() if key in known}  # diffusers would warn of others
    return kind.from_config({**config, **changes, "_use_default_values": sorted(unstated - set(changes))})


def steps_of_stages(base: BaseModel, name: str, steps: int, taken: int, stages: int) -> tuple[int, ...]:
    """Count the sampler steps that fall into each stage, noisiest first.

    Args:
        base: The base model.
        name: Of the scheduler.
        steps: Of the whole way from noise.
        taken: How many of them, the last ones, are taken.
        stages: Into how many stages the timesteps are cut.

    Raises:
        UsageError: As `scheduler_for`.
    """
    scheduler = scheduler_for(base, name, steps)
    scheduler.set_timesteps(steps)
    found = stages_of(scheduler.timesteps[-taken:], stages, base.num_train_timesteps).tolist()
    return tuple(found.count(stage) for stage in range(stages))

"""Which timesteps AUTOMATIC1111's samplers call the denoiser at, for Stable Diffusion's own schedule of noise.

The rules are those of k-diffusion's schedules and samplers. Its web UI counts calls, not steps, when it edits prompts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from faceid_cli.errors import UsageError

TIMESTEPS = 1000
_SCHEDULES = ("Uniform", "SGM Uniform", "Karras", "Exponential")
_ONCE = ("Euler", "Euler a", "LMS", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ 3M SDE")
_TWICE = ("Heun", "DPM++ SDE", "DPM++ 2S a")
_RHO = 7.0
_MOST_STEPS = 1000


@dataclass(frozen=True)
class Sampler:
    """A sampler with a schedule, as the web UI names them.

    Attributes:
        method: Its "Sampling method".
        schedule: Its "Schedule type"; "DDIM" for that of the DDIM sampler.
    """

    method: str
    schedule: str

    def timesteps(self, steps: int) -> np.ndarray:
        """The timestep of every call of the denoiser, in order.

        Raises:
            UsageError: A number of steps that cannot be.
        """
        if not 1 <= steps <= _MOST_STEPS:
            raise UsageError(f"{steps} sampler steps cannot be", f"use 1 to {_MOST_STEPS}; 20 is usual")
        if self.schedule == "DDIM":
            return np.arange(0, TIMESTEPS, TIMESTEPS // min(steps, TIMESTEPS))[::-1] + 1.0
        sigmas = _sigmas(self.schedule, steps)
        if self.method in _TWICE:
            sigmas = _with_second_calls(self.method, sigmas)
        return _timestep_of(sigmas)


def parse_sampler(text: str) -> Sampler:
    """Read a sampler as people write it: "DPM++ 2M Karras", "euler a", "DDIM"; without a schedule it is "Uniform".

    Raises:
        UsageError: Not one whose calls are known.
    """
    wanted = _key(text)
    if wanted == "ddim":
        return Sampler("DDIM", "DDIM")
    for schedule in ("", *_SCHEDULES):
        for method in (*_ONCE, *_TWICE):
            if wanted == _key(f"{method} {schedule}"):
                return Sampler(method, schedule or "Uniform")
    raise UsageError(
        f"which timesteps the sampler {text!r} takes is not known",
        f"methods: DDIM, {', '.join((*_ONCE, *_TWICE))}; with or without {', '.join(_SCHEDULES)}",
    )


def _key(text: str) -> str:
    return re.sub("[^a-z0-9+]", "", text.lower())


def _own_sigmas() -> np.ndarray:
    """Of each timestep: sigma = sqrt((1 - a) / a), with a the product of all (1 - beta) up to there."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS, dtype=np.float64) ** 2
    kept = np.cumprod(1 - betas)
    return np.sqrt((1 - kept) / kept)


def _sigmas(schedule: str, steps: int) -> np.ndarray:
    """Of each step, without the zero at the end."""
    own = _own_sigmas()
    if schedule in ("Uniform", "SGM Uniform"):
        last = TIMESTEPS - 1
        times = np.linspace(last, 0, steps) if schedule == "Uniform" else np.linspace(last, 0, steps + 1)[:-1]
        return np.exp(np.interp(times, np.arange(TIMESTEPS), np.log(own)))
    ramp = np.linspace(0, 1, steps)
    if schedule == "Exponential":
        return np.exp(np.log(own[-1]) + ramp * (np.log(own[0]) - np.log(own[-1])))
    high, low = own[-1] ** (1 / _RHO), own[0] ** (1 / _RHO)
    return (high + ramp * (low - high)) ** _RHO


def _with_second_calls(method: str, sigmas: np.ndarray) -> np.ndarray:
    """Methods of second order look once more on the way to the next step; not on the last way, to no noise."""
    calls: list[float] = []
    for place, sigma in enumerate(sigmas):
        calls.append(float(sigma))
        if place + 1 == len(sigmas):
            break
        following = float(sigmas[place + 1])
        if method == "DPM++ 2S a":  # an ancestral step goes further down, and adds noise after
            fresh = min(following, following / sigma * np.sqrt(max(sigma**2 - following**2, 0.0)))
            following = float(np.sqrt(max(following**2 - fresh**2, 0.0)))
        calls.append(following if method == "Heun" else float(np.sqrt(sigma * following)))
    return np.array(calls)


def _timestep_of(sigmas: np.ndarray) -> np.ndarray:
    """Between two timesteps as their logarithms are, within those that there are."""
    return np.interp(np.log(sigmas), np.log(_own_sigmas()), np.arange(TIMESTEPS, dtype=np.float64))

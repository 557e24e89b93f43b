"""`--compile`: let torch translate a base model's parts, where this machine has a compiler for it.

Only parts without cross-attention are translated: residual blocks, self-attention, feed-forward layers and the decoder.
They do most of the work. The hooks that take keys and values apart stay outside, where the compiler cannot lose them.
"""

from __future__ import annotations

import shutil
from typing import Any

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

_TRANSLATIONS = 64  # of one kind of block: blocks of other widths count as new


def compile_parts(unet: nn.Module, vae: Any, device: torch.device) -> str:
    """Translate the parts of a base model in place; the work is done when each first runs.

    Returns:
        "", or why nothing was translated: the model then runs as ever.
    """
    reason = _why_not(device)
    if reason:
        return f"--compile does nothing here: {reason}"
    settings: Any = torch._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, _TRANSLATIONS)
    settings.suppress_errors = True  # a part that cannot be translated runs as ever
    for part in parts_to_compile(unet, vae):
        part.compile()
    return ""


def parts_to_compile(unet: nn.Module, vae: Any) -> list[nn.Module]:
    """The parts that are translated."""
    found = [
        module
        for name, module in unet.named_modules()
        if isinstance(module, (ResnetBlock2D, FeedForward)) or name.rsplit(".", 1)[-1] == "attn1"
    ]
    return [*found, vae.decoder]


def _why_not(device: torch.device) -> str:
    """Translate one line as a trial."""
    try:
        torch.compile(_trial)(torch.ones(8, device=device))
    except Exception as error:  # each of its back ends has errors of its own
        if device.type == "cpu" and not any(shutil.which(name) for name in ("g++", "c++", "clang++", "cl")):
            return "no C++ compiler was found"
        lines = str(error).strip().splitlines()
        return lines[0][:200] if lines else type(error).__name__
    return ""


def _trial(numbers: Tensor) -> Tensor:
    return torch.sin(numbers) + 1

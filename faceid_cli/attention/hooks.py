"""K and V come apart, and stages switch: one context manager for training and generation (paper section 3.2).

The context [K1..KS | V1..VS] holds every stage's two encodings of the prompt along the token axis. A hook before the
UNet cuts Ks and Vs out for each row, by the timestep it sees; hooks before `to_k` and `to_v` of every cross-attention
layer give each its side. Rows carry their own contexts, so neither the order of guidance halves nor the batch matters,
and equal K and V give the very bits of the plain pipeline.

Shapes: B rows, S stages, T text positions, C width of the encoded text, E width of the pooled text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from faceid_cli.errors import ModelError

_REMEDY = "switch off attention slicing, fused projections, xformers and other plug-ins of the pipeline"


def stage_of(timestep: int, stages: int, num_train_timesteps: int = 1000) -> int:
    """Return the stage of a timestep: S - 1 - t * S // number of timesteps.

    Stage 0 is where sampling starts, at the noisiest timesteps. For five stages of 1000 timesteps: 4 - t // 200.
    """
    return min(max(stages - 1 - int(timestep) * stages // num_train_timesteps, 0), stages - 1)


def stages_of(timesteps: Tensor, stages: int, num_train_timesteps: int = 1000) -> Tensor:
    """Return `stage_of` for a tensor of timesteps of any type; int64 of the same shape."""
    whole = timesteps.floor().long() if timesteps.is_floating_point() else timesteps.long()
    return (stages - 1 - whole * stages // num_train_timesteps).clamp(0, stages - 1)


def cross_attention_layers(unet: nn.Module) -> dict[str, Any]:
    """Return the cross-attention layers of a UNet (or ControlNet) by name, in the order of its modules.

    Raises:
        ModelError: There are none.
    """
    layers = {name: module for name, module in unet.named_modules() if name.rsplit(".", 1)[-1] == "attn2"}
    layers = {name: layer for name, layer in layers.items() if hasattr(layer, "to_k") and hasattr(layer, "to_v")}
    if not layers:
        raise ModelError(f"no cross-attention layer found in this {type(unet).__name__}", "use a supported base model")
    return layers


@contextmanager
def split_attention(unet: nn.Module, stages: int, text_length: int, num_train_timesteps: int = 1000) -> Iterator[None]:
    """Let a UNet take `encoder_hidden_states` = [K1..KS | V1..VS], (B, 2 * S * T, C), while the context lasts.

    Timesteps may be a number, or a tensor of one or B entries: each row uses the stage of its own timestep. A UNet with
    a pooled text takes `added_cond_kwargs["text_embeds"]` of all stages, (B, S * E), in the same way. Rows that know
    their stage already, as in training, may bring [Ks | Vs] alone, (B, 2 * T, C), and their pooled text (B, E).

    Args:
        unet: A UNet or ControlNet with cross-attention.
        stages: S: how many stages the timesteps are divided into, noisiest first.
        text_length: T: text positions of one side of one stage.
        num_train_timesteps: Timesteps that the stages divide.

    Raises:
        ModelError: No layer matched; or a layer that does not use its two projections (fused projections, a replaced
            attention processor), so that the split would silently be lost. The latter is checked on entry and
            after every forward pass.
    """
    layers = cross_attention_layers(unet)
    for name, layer in layers.items():
        if getattr(layer, "fused_projections", False):
            raise ModelError(f"the split into keys and values is dead in {name}: its projections are fused", _REMEDY)
    sides: dict[str, Tensor] = {}
    alive: set[str] = set()

    def before(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        alive.clear()
        return _with_current_stage(arguments, named, stages, text_length, num_train_timesteps, sides)

    def after(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        dead = [
            projection for name in layers for projection in (f"{name}.to_k", f"{name}.to_v") if projection not in alive
        ]
        if dead:
            raise ModelError(f"the split into keys and values is dead: {dead[0]} is not used", _REMEDY)

    with ExitStack() as stack:
        stack.callback(unet.register_forward_pre_hook(before, with_kwargs=True).remove)
        stack.callback(unet.register_forward_hook(after).remove)
        for name, layer in layers.items():
            for projection in ("to_k", "to_v"):
                hook = _take_side(f"{name}.{projection}", projection, sides, alive)
                stack.callback(getattr(layer, projection).register_forward_pre_hook(hook).remove)
        yield


def _with_current_stage(
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    stages: int,
    text_length: int,
    num_train_timesteps: int,
    sides: dict[str, Tensor],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put what the two projections take into `sides`, and the keys' side among the UNet's arguments for the context.

    Its arguments are (sample, timestep, encoder_hidden_states).
    """
    timestep = named["timestep"] if "timestep" in named else arguments[1]
    by_name = "encoder_hidden_states" in named
    context: Tensor = named["encoder_hidden_states"] if by_name else arguments[2]
    added = named.get("added_cond_kwargs") or {}
    if context.shape[1] != 2 * text_length:
        context = _cut(context, timestep, stages, text_length, num_train_timesteps)
        if "text_embeds" in added:
            pooled = _cut_pooled(added["text_embeds"], timestep, stages, num_train_timesteps)
            named = {**named, "added_cond_kwargs": {**added, "text_embeds": pooled}}
    # A contiguous half makes the projection compute the same bits as on an unsplit context.
    keys, values = (half.contiguous() for half in context.split(text_length, dim=1))
    sides["to_k"], sides["to_v"] = keys, values
    if by_name:
        return arguments, {**named, "encoder_hidden_states": keys}
    return (*arguments[:2], keys, *arguments[3:]), named


def _cut_pooled(pooled: Tensor, timestep: Any, stages: int, num_train_timesteps: int) -> Tensor:
    """Pick each row's current pooled text, (B, S * E) -> (B, E)."""
    rows = pooled.shape[0]
    timesteps = torch.as_tensor(timestep, device=pooled.device).reshape(-1)
    stage = stages_of(timesteps, stages, num_train_timesteps).expand(rows)
    return pooled.view(rows, stages, -1)[torch.arange(rows, device=pooled.device), stage]


def _cut(context: Tensor, timestep: Any, stages: int, text_length: int, num_train_timesteps: int) -> Tensor:
    rows, length, width = context.shape
    if length != 2 * stages * text_length:
        raise ModelError(
            f"the text context has {length} positions, not 2 x {stages} stages x {text_length}",
            "a bug, or hooks of another kind on the same UNet",
        )
    timesteps = torch.as_tensor(timestep, device=context.device).reshape(-1)
    stage = stages_of(timesteps, stages, num_train_timesteps).expand(rows)
    parts = context.view(rows, 2, stages, text_length, width)
    picked = parts[torch.arange(rows, device=context.device), :, stage]  # (B, 2, T, C)
    return picked.reshape(rows, 2 * text_length, width)


def _take_side(name: str, projection: str, sides: dict[str, Tensor], alive: set[str]) -> Callable[..., Any]:
    def take(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
        context, side = arguments[0], sides[projection]
        if context.shape != side.shape:
            raise ModelError(
                f"{name} got text of shape {tuple(context.shape)} instead of {tuple(side.shape)}: the split is dead",
                _REMEDY,
            )
        alive.add(name)
        return (side, *arguments[1:])

    return take

"""K and V come apart, and stages switch: one context manager for training and generation (paper section 3.2).

The context [K1..KS | V1..VS] holds every stage's two encodings of the prompt along the token axis. A hook before the
UNet cuts Ks and Vs out for each row, by the timestep it sees; hooks before `to_k` and `to_v` of every cross-attention
layer give each its side. Rows carry their own contexts, so neither the order of guidance halves nor the batch matters,
and equal K and V give the very bits of the plain pipeline.

Shapes: B rows, S stages, T text positions, C width of the encoded text, E width of the pooled text.
"""

from __future__ import annotations

import math
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
    layers = attention_layers(unet, "attn2")
    if not layers:
        raise ModelError(f"no cross-attention layer found in this {type(unet).__name__}", "use a supported base model")
    return layers


def attention_layers(network: nn.Module, kind: str) -> dict[str, Any]:
    """Return layers by name: of kind "attn1", which look at the picture itself, or "attn2", which look at the text."""
    layers = {name: module for name, module in network.named_modules() if name.rsplit(".", 1)[-1] == kind}
    return {name: layer for name, layer in layers.items() if hasattr(layer, "to_k") and hasattr(layer, "to_v")}


@contextmanager
def split_attention(
    unet: nn.Module, stages: int, text_length: int, num_train_timesteps: int = 1000, texts: int = 1
) -> Iterator[None]:
    """Let a UNet take `encoder_hidden_states` = [K1..KS | V1..VS], (B, 2 * S * T, C), while the context lasts.

    Of several texts, one behind the other, (B, G * 2 * S * T, C), the layers get the keys and values of all of them,
    (B, G * T, C), for `regional_attention` to tell them apart.

    Timesteps may be a number, or a tensor of one or B entries: each row uses the stage of its own timestep. A UNet with
    a pooled text takes `added_cond_kwargs["text_embeds"]` of all stages, (B, S * E), in the same way. Rows that know
    their stage already, as in training, may bring [Ks | Vs] alone, (B, 2 * T, C), and their pooled text (B, E).

    Args:
        unet: A UNet or ControlNet with cross-attention.
        stages: S: how many stages the timesteps are divided into, noisiest first.
        text_length: T: text positions of one side of one stage.
        num_train_timesteps: Timesteps that the stages divide.
        texts: G: how many texts each row brings.

    Raises:
        ModelError: No layer matched; or a layer that does not use its two projections (fused projections, a replaced
            attention processor), so that the split would silently be lost. The latter is checked on entry and
            after every forward pass.
    """
    layers = cross_attention_layers(unet)
    for name, layer in layers.items():
        if getattr(layer, "fused_projections", False):
            raise ModelError(f"the split into keys and values is dead in {name}: its projections are fused", _REMEDY)
    cut = _Cut(stages, text_length, num_train_timesteps, texts)
    alive: set[str] = set()

    def before(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        alive.clear()
        return cut.arguments(arguments, named)

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
                hook = _take_side(f"{name}.{projection}", projection, cut.sides, alive)
                stack.callback(getattr(layer, projection).register_forward_pre_hook(hook).remove)
        yield


class _Cut:
    """Cuts the current stage's part out of what the UNet is given, and only when the stage is another than before.

    Args:
        stages: S.
        text_length: T.
        num_train_timesteps: Timesteps that the stages divide.
        texts: G.

    Attributes:
        sides: What the projections "to_k" and "to_v" take now, (B, G * T, C) each.
    """

    def __init__(self, stages: int, text_length: int, num_train_timesteps: int, texts: int = 1) -> None:
        self._texts = texts
        self._stages, self._text_length, self._num_train_timesteps = stages, text_length, num_train_timesteps
        self._timesteps = Timesteps()
        self._last: tuple[Tensor, Tensor | None, int] | None = None
        self._pooled: Tensor | None = None
        self.sides: dict[str, Tensor] = {}

    def arguments(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Put the keys' side among the UNet's arguments for the context, and the current pooled text for all of them.

        Its arguments are (sample, timestep, encoder_hidden_states).
        """
        timestep = named["timestep"] if "timestep" in named else arguments[1]
        by_name = "encoder_hidden_states" in named
        added = named.get("added_cond_kwargs") or {}
        self._cut(named["encoder_hidden_states"] if by_name else arguments[2], added.get("text_embeds"), timestep)
        if self._pooled is not None:
            named = {**named, "added_cond_kwargs": {**added, "text_embeds": self._pooled}}
        if by_name:
            return arguments, {**named, "encoder_hidden_states": self.sides["to_k"]}
        return (*arguments[:2], self.sides["to_k"], *arguments[3:]), named

    def _cut(self, context: Tensor, pooled: Tensor | None, timestep: Any) -> None:
        known = self._timesteps.known(timestep)
        now = None if known is None or context.requires_grad else (context, pooled, self._stage(known))
        if now is not None and self._last is not None:
            (text, words, stage), (last_text, last_words, last_stage) = now, self._last
            if text is last_text and words is last_words and stage == last_stage:
                return
        self._last = now
        if context.shape[1] != 2 * self._text_length or self._texts > 1:
            timesteps = torch.as_tensor(timestep, device=context.device).reshape(-1)
            stages = stages_of(timesteps, self._stages, self._num_train_timesteps)
            context = self._part_of_context(context, stages)
            pooled = None if pooled is None else _at(pooled.unflatten(1, (self._stages, -1)), stages)
        self._pooled = pooled
        # A contiguous half makes the projection compute the same bits as on an unsplit context.
        keys, values = (half.contiguous() for half in context.split(self._texts * self._text_length, dim=1))
        self.sides["to_k"], self.sides["to_v"] = keys, values

    def _stage(self, timestep: float) -> int:
        return stage_of(math.floor(timestep), self._stages, self._num_train_timesteps)

    def _part_of_context(self, context: Tensor, stages: Tensor) -> Tensor:
        """Pick each row's [Ks of all texts | Vs of all texts], (B, G * 2 * S * T, C) -> (B, 2 * G * T, C)."""
        length = context.shape[1]
        if length != self._texts * 2 * self._stages * self._text_length:
            texts = f"{self._texts} texts x " if self._texts > 1 else ""
            raise ModelError(
                f"the text context has {length} positions, not {texts}2 x {self._stages} stages x {self._text_length}",
                "a bug, or hooks of another kind on the same UNet",
            )
        parts = context.unflatten(1, (self._texts, 2, self._stages, self._text_length))
        return _at(parts.permute(0, 3, 2, 1, 4, 5), stages).flatten(1, 3)


def _at(parts: Tensor, stages: Tensor) -> Tensor:
    """Pick each row's stage, (B, S, ...) -> (B, ...); stages of one or B entries."""
    if len(stages) == 1:
        return parts.index_select(1, stages).squeeze(1)
    return parts[torch.arange(len(parts), device=parts.device), stages]


class Timesteps:
    """Tells the numbers of timesteps on a GPU without waiting for it at each step.

    A sampler's timesteps are entries of one tensor. It is read as a whole when the first of them is seen.
    """

    def __init__(self) -> None:
        self._whole: tuple[torch.UntypedStorage, int] | None = None
        self._numbers: list[float] = []

    def known(self, timestep: Any) -> float | None:
        """The number of a timestep that all rows share; None where rows have their own, or it would take a wait."""
        if not isinstance(timestep, Tensor):
            return float(timestep)
        if timestep.numel() != 1 or timestep.is_inference():
            return None
        if timestep.device.type == "cpu":
            return float(timestep)
        storage, version = timestep.untyped_storage(), timestep._version
        if storage.nbytes() == timestep.element_size():  # alone, so it is likely to be written anew
            return None
        if self._whole is None or (self._whole[0].data_ptr(), self._whole[1]) != (storage.data_ptr(), version):
            entries = torch.empty(0, dtype=timestep.dtype, device=timestep.device).set_(storage)
            self._whole, self._numbers = (storage, version), entries.tolist()
        return self._numbers[timestep.storage_offset()]


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

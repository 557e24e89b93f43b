"""Forward passes of frozen networks that keep less for the backward pass, with the same gradients.

Autograd keeps what any gradient might need. The weights here are frozen, so a convolution's input is not needed at
all; what a normalisation or an activation returned is quicker computed again than kept; and the wide inner layer of a
feed-forward part is kept as the narrow input that it follows from. What is computed again is the same arithmetic on the
same numbers.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.activations import GEGLU
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

_CHEAP = (nn.GroupNorm, nn.LayerNorm, nn.SiLU)
_RECENT = 4  # how many outputs are remembered: they are used at once or not at all


@contextmanager
def lean_backward(network: nn.Module) -> Iterator[None]:
    """Let forward passes of a frozen network keep less for the backward pass, while the context lasts.

    Gradients are bit for bit those of a plain pass on the CPU. It costs about a twentieth of a step's time.

    Args:
        network: Its convolutions' weights must not take gradients.
    """
    recipes = _Recipes()
    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, _CHEAP):
                stack.callback(module.register_forward_hook(recipes.note).remove)
            elif type(module) is nn.Conv2d and module.padding_mode == "zeros" and not module.weight.requires_grad:
                stack.enter_context(_forward_replaced(module, partial(_convolve, module)))
            elif isinstance(module, GEGLU):
                stack.enter_context(_forward_replaced(module, partial(_FrozenGate.apply, module)))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(recipes.pack, recipes.unpack))
        yield


@contextmanager
def _forward_replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    module.forward = forward
    try:
        yield
    finally:
        del module.forward  # that of the class is in force again


def _convolve(module: nn.Conv2d, pixels: Tensor) -> Tensor:
    return _FrozenConvolution.apply(
        pixels, module.weight, module.bias, module.stride, module.padding, module.dilation, module.groups
    )


class _FrozenConvolution(torch.autograd.Function):
    """A convolution that keeps its input's shape only: the gradient of the input follows from the weights."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = pixels.shape, how
        return F.conv2d(pixels, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        return conv2d_input(ctx.shape, weight, gradients[0], *ctx.how), *[None] * (2 + len(ctx.how))


class _FrozenGate(torch.autograd.Function):
    """A gated activation that keeps its narrow input only; torch's own checkpoint would import the compiler for it."""

    @staticmethod
    def forward(ctx: Any, module: GEGLU, narrow: Tensor) -> Tensor:
        ctx.module = module
        ctx.save_for_backward(narrow)
        wide: Tensor = type(module).forward(module, narrow)
        return wide

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (narrow,) = ctx.saved_tensors
        projection = ctx.module.proj
        values, gate = projection(narrow).chunk(2, dim=-1)
        of_values = gradients[0] * F.gelu(gate)
        of_gate = torch.ops.aten.gelu_backward(gradients[0] * values, gate)
        return None, torch.cat([of_values, of_gate], dim=-1) @ projection.weight


@dataclass(frozen=True)
class _Recipe:
    """How to get a tensor again: the module that made it, and from what."""

    module: nn.Module
    source: Tensor | _Recipe

    def make(self) -> Tensor:
        source = self.source.make() if isinstance(self.source, _Recipe) else self.source
        return type(self.module).forward(self.module, source)


class _Recipes:
    """Hooks that put recipes in the place of tensors that are cheap to make again."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Any, int, _Recipe]] = OrderedDict()

    def note(self, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        """Remember how a module's output came about; a forward hook."""
        if not output.requires_grad:
            return
        source: Tensor = arguments[0]
        entry = _Recipe(module, self._recipe_of(source) or source.detach())
        self._known[output.data_ptr()] = weakref.ref(output), output._version, entry
        while len(self._known) > _RECENT:
            self._known.popitem(last=False)

    def pack(self, tensor: Tensor) -> Tensor | _Recipe:
        """What autograd keeps in place of a tensor."""
        return self._recipe_of(tensor) or tensor

    def unpack(self, kept: Tensor | _Recipe) -> Tensor:
        """The tensor again."""
        if isinstance(kept, Tensor):
            return kept
        with torch.no_grad():
            return kept.make()

    def _recipe_of(self, tensor: Tensor) -> _Recipe | None:
        """Known is a tensor that shares its memory, unchanged and in full, with an output that is still in use."""
        reference, version, recipe = self._known.get(tensor.data_ptr(), (None, 0, None))
        output = reference() if reference is not None else None
        same = (
            output is not None
            and output._version == version
            and output.data_ptr() == tensor.data_ptr()
            and output.shape == tensor.shape
            and output.stride() == tensor.stride()
            and output.dtype == tensor.dtype
        )
        return recipe if same else None

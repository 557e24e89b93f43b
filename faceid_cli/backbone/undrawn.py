"""Loading without the first, random weights, which the loaded ones replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Undrawn(TorchFunctionMode):
    """Draw and count nothing for tensors that have a shape and no numbers: torch imports SymPy for it, in vain."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the function returns; for such tensors one of that shape, by a shorter way."""
        kwargs = kwargs or {}
        found = _by_shape(func, args, kwargs)
        return func(*args, **kwargs) if found is None else found


def _by_shape(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    if func is torch.arange:
        is_plain = set(kwargs) == {"device"} and set(map(type, args)) == {int}
        if is_plain and torch.device(kwargs["device"] or "cpu").type == "meta":
            return torch.empty(len(range(*args)), dtype=torch.int64, device="meta")
        return None
    first = args[0] if args else kwargs.get("tensor")
    if not isinstance(first, Tensor) or not first.is_meta:
        return None
    if getattr(func, "__module__", "") == "torch.nn.init":
        return first  # they fill it, and return it
    if func is torch.empty_like and set(kwargs) == {"device"} and first.is_contiguous():
        return torch.empty(first.shape, dtype=first.dtype, device=kwargs["device"] or "meta")
    return None

"""Record what each cross-attention layer attends to, without changing what it computes.

Hooks on `to_q` and `to_k` keep queries and keys; probabilities are worked out from them only when asked for. The
recorded keys are those of P^K where the UNet's attention is split.

Shapes: B rows, M heads, H x W pixels of a layer, T text positions, d width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from faceid_cli.attention.hooks import cross_attention_layers
from faceid_cli.errors import ModelError


@dataclass(frozen=True)
class AttentionMap:
    """Where one layer attends.

    Attributes:
        layer: Name of the layer within the UNet.
        probabilities: (B, H, W, T) float32, mean over heads, sum over T is 1.
    """

    layer: str
    probabilities: Tensor

    @property
    def height(self) -> int:
        """Rows of pixels H."""
        return int(self.probabilities.shape[1])

    @property
    def width(self) -> int:
        """Columns of pixels W."""
        return int(self.probabilities.shape[2])


@dataclass
class AttentionRecord:
    """What has been recorded; see `record_attention`.

    Attributes:
        queries: Per layer (B, M, H * W, d) of the last forward pass, with gradient.
        keys: Per layer (B, M, T, d) of the last forward pass, with gradient.
        shapes: Per layer (H, W).
        scales: Per layer the factor before the softmax.
        passes: Forward passes summed up in `totals`.
        totals: Per layer the sum over forward passes of probabilities (B, H * W, T), mean over heads, on the CPU.
    """

    queries: dict[str, Tensor] = field(default_factory=dict)
    keys: dict[str, Tensor] = field(default_factory=dict)
    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    passes: int = 0
    totals: dict[str, Tensor] = field(default_factory=dict)

    def maps(self) -> list[AttentionMap]:
        """Return one map a layer: the mean over forward passes (keep="mean"), or the last one's (keep="last")."""
        if self.totals:
            flat = {name: total / self.passes for name, total in self.totals.items()}
        else:
            flat = {name: self._probabilities(name) for name in self.queries}
        return [AttentionMap(name, part.unflatten(1, self.shapes[name])) for name, part in flat.items()]

    def clear(self) -> None:
        """Forget everything recorded so far."""
        for kept in (self.queries, self.keys, self.totals):
            kept.clear()
        self.passes = 0

    def add_pass(self) -> None:
        """Add the last forward pass to `totals` and let go of its queries and keys."""
        for name in self.queries:
            current = self._probabilities(name).cpu()
            self.totals[name] = with_equal_rows(self.totals[name], current) if name in self.totals else current
        self.passes += 1
        self.queries.clear()
        self.keys.clear()

    def _probabilities(self, name: str) -> Tensor:
        with torch.no_grad():
            return attention_probabilities(self.queries[name], self.keys[name], self.scales[name]).mean(dim=1)


def with_equal_rows(total: Tensor, current: Tensor) -> Tensor:
    """Return the sum of two passes' rows; where guidance has ended between them, of the prompt's own, the last ones."""
    rows = min(len(total), len(current))
    return total[-rows:] + current[-rows:]


def attention_probabilities(queries: Tensor, keys: Tensor, scale: float) -> Tensor:
    """Return softmax(Q K^T * scale) in float32: (B, M, H * W, d) and (B, M, T, d) -> (B, M, H * W, T)."""
    return torch.softmax(queries.float() @ keys.float().transpose(-1, -2) * scale, dim=-1)


def split_heads(projected: Tensor, heads: int) -> Tensor:
    """Return (B, M, L, d) from a projection's output (B, L, M * d)."""
    return projected.unflatten(-1, (heads, -1)).transpose(1, 2)


@contextmanager
def record_attention(unet: nn.Module, keep: Literal["last", "mean"] = "last") -> Iterator[AttentionRecord]:
    """Record cross-attention while the context lasts; may be combined with `split_attention`, in either order.

    Args:
        unet: A UNet with cross-attention.
        keep: "last" keeps queries and keys of the last forward pass with their gradients, for training; "mean" sums up
            probabilities over all forward passes on the CPU, for maps of a rendering.

    Raises:
        ModelError: No layer matched, or after a forward pass: a layer's attention could not be seen.
    """
    layers = cross_attention_layers(unet)
    record = AttentionRecord(scales={name: float(layer.scale) for name, layer in layers.items()})
    seen: set[str] = set()

    def before(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen.clear()

    def after(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        missing = [name for name in layers if name not in seen]
        if missing:
            raise ModelError(f"attention of {missing[0]} cannot be recorded: its projections are not used")
        if keep == "mean":
            record.add_pass()

    with ExitStack() as stack:
        stack.callback(unet.register_forward_pre_hook(before).remove)
        stack.callback(unet.register_forward_hook(after).remove)
        for name, layer in layers.items():
            transformer = unet.get_submodule(name.split(".transformer_blocks", 1)[0])
            stack.callback(transformer.register_forward_pre_hook(_note_shape(record, name), with_kwargs=True).remove)
            for projection, kept in ((layer.to_q, record.queries), (layer.to_k, record.keys)):
                stack.callback(projection.register_forward_hook(_keep(kept, name, layer.heads)).remove)
            stack.callback(layer.to_k.register_forward_hook(lambda *_, name=name: seen.add(name)).remove)
        yield record


def _note_shape(record: AttentionRecord, name: str) -> Callable[..., None]:
    def note(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        pixels: Tensor = arguments[0] if arguments else named["hidden_states"]
        record.shapes[name] = (int(pixels.shape[-2]), int(pixels.shape[-1]))

    return note


def _keep(kept: dict[str, Tensor], name: str, heads: int) -> Callable[..., None]:
    def keep(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        kept[name] = split_heads(output, heads)

    return keep

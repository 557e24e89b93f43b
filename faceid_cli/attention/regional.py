"""Who is where: each person of a picture has their own text inside of a region, and is not looked at by the others.

In cross-attention, the pixels of a person's region take what that person's own sentence says, all others what the
common prompt says (regional sampling of Mix-of-Show, arXiv 2305.18292). In self-attention, a person's pixels do not
look at another's, while the background looks everywhere (the mask of Bounded Attention, arXiv 2403.16990). Both are
done inside of the UNet's one pass; nothing is sampled twice and there are no gradients.

Shapes: B rows, N pictures, R regions of a picture, G = 1 + R texts of a row (the common one first), T text positions,
C width of the encoded text, M heads, d width of a head, L = h * w pixels of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceid_cli.attention.hooks import Timesteps, attention_layers
from faceid_cli.types import Region

TEXT_UNTIL, APART_UNTIL = 0.0, 0.2
"""Shares of the timesteps at the end of sampling in which regions have no text of their own, and see each other."""
SOFT_EDGE = 0.06
"""Width of a region's edge, as a share of the picture's shorter side; half of it lies outside of the region."""
_INSIDE = 0.5  # of a pixel, from which on it belongs to a person


@dataclass(frozen=True)
class Release:
    """When regions are let go.

    Attributes:
        text: Share of the timesteps, from the last one, in which all pixels take the common text.
        apart: The same for pixels of one person that do not look at another's.
    """

    text: float = TEXT_UNTIL
    apart: float = APART_UNTIL


@contextmanager
def regional_attention(
    network: nn.Module,
    layouts: Sequence[Sequence[Region]],
    num_train_timesteps: int = 1000,
    release: Release | None = None,
) -> Iterator[None]:
    """Let a UNet's layers keep people apart while the context lasts; used inside of `split_attention` with its texts.

    Args:
        network: A UNet or ControlNet; it is left as found.
        layouts: For each picture its regions, all of equal number R. The network's rows are the pictures in this order,
            or, with guidance, their negative prompts and then they.
        num_train_timesteps: Timesteps that `release` is a share of.
        release: When regions are let go.

    Raises:
        ModelError: The network has no attention layers.
    """
    state = _State([tuple(regions) for regions in layouts], num_train_timesteps, release or Release())
    with ExitStack() as stack:
        stack.callback(network.register_forward_pre_hook(state.before, with_kwargs=True).remove)
        for kind, make in (("attn2", _TextOfRegions), ("attn1", _ApartFromOthers)):
            for layer in attention_layers(network, kind).values():
                stack.callback(layer.set_processor, layer.processor)
                layer.set_processor(make(state, layer.processor))
        yield


@dataclass
class _State:
    """What the layers of one network share: the picture's shape and the time of this pass, and regions by resolution.

    Attributes:
        layouts: For each picture its regions.
        steps: Timesteps of the noise schedule.
        release: When regions are let go.
        shape: (h, w) of the latent picture.
        has_text: Whether regions have their own text now.
        is_apart: Whether they do not see each other now.
    """

    layouts: list[tuple[Region, ...]]
    steps: int
    release: Release
    shape: tuple[int, int] = (0, 0)
    has_text: bool = True
    is_apart: bool = True
    _timesteps: Timesteps = field(default_factory=Timesteps)
    _mixtures: dict[tuple[int, int], list[_Share]] = field(default_factory=dict)
    _groups: dict[tuple[int, int], list[_Group]] = field(default_factory=dict)

    def before(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Note the shape and the time of a pass."""
        sample = named["sample"] if "sample" in named else arguments[0]
        timestep = named["timestep"] if "timestep" in named else arguments[1]
        self.shape = (int(sample.shape[-2]), int(sample.shape[-1]))
        known = self._timesteps.known(timestep)
        now = float(torch.as_tensor(timestep).reshape(-1)[0]) if known is None else known
        self.has_text = now >= self.release.text * self.steps
        self.is_apart = now >= self.release.apart * self.steps

    def mixture(self, pixels: Tensor) -> list[_Share]:
        """What the pixels (N, L, ...) of a layer take of each text, the common one first."""
        return self._of_layer(self._mixtures, pixels, lambda h, w: _mixture(self.layouts, h, w, pixels))

    def groups(self, pixels: Tensor) -> list[_Group]:
        """Pictures of equal layout, each with whom its pixels look at in this layer."""
        return self._of_layer(self._groups, pixels, lambda h, w: _groups(self.layouts, h, w, pixels.device))

    def _of_layer(self, kept: dict[tuple[int, int], Any], pixels: Tensor, make: Any) -> Any:
        shape = layer_shape(self.shape, int(pixels.shape[1]))
        if shape not in kept:
            kept[shape] = make(*shape)
        return kept[shape]


def layer_shape(latent: tuple[int, int], pixels: int) -> tuple[int, int]:
    """Height and width of a layer with so many pixels, of a latent picture that is halved again and again.

    Raises:
        ValueError: No halving has so many.
    """
    height, width = latent
    while height * width > pixels:
        height, width = math.ceil(height / 2), math.ceil(width / 2)
    if height * width != pixels:
        raise ValueError(f"a layer of {pixels} pixels does not belong to a latent picture of {latent}")
    return height, width


def coverage(regions: Sequence[Region], height: int, width: int, soft: float = 0.0) -> Tensor:
    """How much of each pixel lies in each region, (R, height, width) float32, 0 to 1.

    Args:
        regions: The regions.
        height: Of the layer.
        width: Of the layer.
        soft: Width of the edge, as a share of the picture's shorter side: from 0 to 1 across the region's border.
            Borders of the picture have none.
    """
    edge = soft * min(height, width)
    maps = []
    for left, top, right, bottom in regions:
        across, down = _ramp(left, right, width, edge), _ramp(top, bottom, height, edge)
        maps.append(down[:, None] * across[None, :])
    return torch.stack(maps)


def text_shares(layouts: Sequence[Sequence[Region]], height: int, width: int) -> Tensor:
    """How much of each text every pixel takes, (N, 1 + R, height * width): the common one first, sum 1.

    Where regions overlap they are averaged; what a soft edge leaves is the common text's.
    """
    rows = []
    for regions in layouts:
        inside = coverage(regions, height, width, SOFT_EDGE).flatten(1)
        total = inside.sum(0)
        common = (1 - total).clamp_min(0)
        rows.append(torch.cat([common[None], inside / total.clamp_min(1)]))
    return torch.stack(rows)


def owners(regions: Sequence[Region], height: int, width: int) -> Tensor:
    """Whose each pixel is, (height * width,): the region's number; -1 for the background, and where regions overlap."""
    inside = coverage(regions, height, width).flatten(1) >= _INSIDE
    alone = inside.sum(0) == 1
    return torch.where(alone, inside.to(torch.int64).argmax(0), -1)


def _ramp(start: float, end: float, cells: int, edge: float) -> Tensor:
    """Share of each cell between two places of 0..1; soft inside of the picture, never at its border."""
    edges = torch.arange(cells + 1, dtype=torch.float64)
    if edge <= 1 / cells:
        clipped = edges.clamp(start * cells, end * cells)
        return clipped.diff().float()
    middle = edges[:-1] + 0.5
    rise = torch.ones_like(middle) if start <= 0 else ((middle - start * cells) / edge + 0.5).clamp(0, 1)
    fall = torch.ones_like(middle) if end >= 1 else ((end * cells - middle) / edge + 0.5).clamp(0, 1)
    return (rise * fall).float()


@dataclass(frozen=True)
class _Group:
    """Pictures of one layout.

    Attributes:
        pictures: Their numbers.
        parts: (pixels that look, pixels that they look at), the latter None for all of them.
    """

    pictures: tuple[int, ...]
    parts: tuple[tuple[Tensor, Tensor | None], ...]


@dataclass(frozen=True)
class _Share:
    """What is taken of one text.

    Attributes:
        pixels: Those that take anything of it, (P,).
        amounts: How much of it each of them takes, (N, P).
    """

    pixels: Tensor
    amounts: Tensor


def _mixture(layouts: Sequence[Sequence[Region]], height: int, width: int, like: Tensor) -> list[_Share]:
    """The shares of all texts, where pictures are."""
    shares = text_shares(layouts, height, width)
    found = []
    for number in range(shares.shape[1]):
        pixels = torch.nonzero(shares[:, number].amax(0) > 0).flatten()
        found.append(_Share(pixels.to(like.device), shares[:, number, pixels].to(like)))
    return found


def _groups(layouts: Sequence[tuple[Region, ...]], height: int, width: int, device: torch.device) -> list[_Group]:
    found: dict[tuple[Region, ...], list[int]] = {}
    for number, regions in enumerate(layouts):
        found.setdefault(regions, []).append(number)
    return [
        _Group(tuple(numbers), tuple(_parts(owners(regions, height, width), len(regions), device)))
        for regions, numbers in found.items()
    ]


def _parts(owner: Tensor, regions: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Who looks at what. Pixels of one person are left out of what the others look at, and so less is computed."""
    for number in range(-1, regions):
        looking = torch.nonzero(owner == number).flatten()
        if len(looking) == 0:
            continue
        seen = None if number < 0 else torch.nonzero((owner == number) | (owner == -1)).flatten().to(device)
        yield looking.to(device), seen


class _TextOfRegions:
    """Attention processor of a cross-attention layer: G texts, each attended alone, then mixed pixel by pixel.

    Of rows that come twice for each picture, as with guidance, the first are the negative prompts', without regions.
    """

    def __init__(self, state: _State, _: Any) -> None:
        self._state = state

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *_: Any, **__: Any
    ) -> Tensor:
        assert encoder_hidden_states is not None
        state = self._state
        texts, own = 1 + len(state.layouts[0]), len(state.layouts)
        queries = _split(attn.to_q(hidden_states), attn.heads)
        keys, values = (_split(project(encoder_hidden_states), attn.heads) for project in (attn.to_k, attn.to_v))
        pairs = list(zip(keys.chunk(texts, dim=2), values.chunk(texts, dim=2), strict=True))
        if not state.has_text:
            return _finished(attn, F.scaled_dot_product_attention(queries, *pairs[0]))
        plain = len(queries) - own
        found = torch.zeros_like(queries)
        if plain:
            negative = (queries[:plain], pairs[0][0][:plain], pairs[0][1][:plain])
            found[:plain] = F.scaled_dot_product_attention(*negative)
        for share, (key, value) in zip(state.mixture(hidden_states[plain:]), pairs, strict=True):
            if len(share.pixels) == 0:  # a region beyond the part of the picture that is rendered
                continue
            looking = queries[plain:, :, share.pixels]
            seen = F.scaled_dot_product_attention(looking, key[plain:], value[plain:])
            found[plain:, :, share.pixels] += share.amounts[:, None, :, None] * seen
        return _finished(attn, found)


class _ApartFromOthers:
    """Attention processor of a self-attention layer: pixels of one person do not look at another's."""

    def __init__(self, state: _State, original: Any) -> None:
        self._state, self._original = state, original

    def __call__(self, attn: Any, hidden_states: Tensor, *rest: Any, **named: Any) -> Tensor:
        if not self._state.is_apart:
            found: Tensor = self._original(attn, hidden_states, *rest, **named)
            return found
        projected = (project(hidden_states) for project in (attn.to_q, attn.to_k, attn.to_v))
        queries, keys, values = (_split(each, attn.heads) for each in projected)
        pictures = len(self._state.layouts)
        seen = torch.empty_like(queries)
        for group in self._state.groups(hidden_states):
            rows = [row for row in range(len(queries)) if row % pictures in group.pictures]
            some = slice(None) if len(rows) == len(queries) else rows
            query, key, value = queries[some], keys[some], values[some]
            found = torch.empty_like(query)
            for looking, at in group.parts:
                others = (key, value) if at is None else (key[:, :, at], value[:, :, at])
                found[:, :, looking] = F.scaled_dot_product_attention(query[:, :, looking], *others)
            seen[some] = found
        return _finished(attn, seen)


def _split(projected: Tensor, heads: int) -> Tensor:
    """(B, L, M * d) -> (B, M, L, d)."""
    return projected.unflatten(-1, (heads, -1)).transpose(1, 2)


def _finished(attn: Any, found: Tensor) -> Tensor:
    """What a layer does with what its heads found: (B, M, L, d) -> (B, L, M * d), through its own projection."""
    out: Tensor = attn.to_out[1](attn.to_out[0](found.transpose(1, 2).flatten(2)))
    return out / attn.rescale_output_factor

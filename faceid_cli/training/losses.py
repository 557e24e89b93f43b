"""The losses, as pure functions (paper sections 3.2 and 3.3).

Shapes: B rows, C x h x w a latent picture, M heads, Q pixels of a layer, T text positions, d width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_TOGETHER = 1 << 24  # numbers in the attention maps of layers that are worked on together


@dataclass(frozen=True)
class LayerAttention:
    """What the face-wise attention loss needs of one layer.

    Attributes:
        queries: (B, M, Q, d) of the target's forward pass.
        keys: (B, M, T, d) of the target prompt, with P^K.
        reference_keys: (B, M, T, d) of the reference prompt.
        scale: Factor before the softmax, 1 / sqrt(d).
    """

    queries: Tensor
    keys: Tensor
    reference_keys: Tensor
    scale: float


@dataclass(frozen=True)
class Alignment:
    """Which text positions of target and reference prompt belong together, where their lengths differ.

    Attributes:
        target: (B, T, T), 1 where target position (first) belongs to word (second), else 0.
        reference: (B, T, T), the same for the reference prompt.
    """

    target: Tensor
    reference: Tensor


def add_noise(latents: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Return z_t = sqrt(a_t) z + sqrt(1 - a_t) eps, (B, C, h, w)."""
    signal, spread = _signal_and_spread(timesteps, alphas_cumprod)
    return signal * latents + spread * noise


def training_target(
    prediction_type: str, latents: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """Return what the denoiser should predict, (B, C, h, w).

    Args:
        prediction_type: "epsilon": the noise; "v_prediction": sqrt(a_t) eps - sqrt(1 - a_t) z; "sample": the latents.

    Raises:
        ValueError: Another prediction type.
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return latents
    if prediction_type == "v_prediction":
        signal, spread = _signal_and_spread(timesteps, alphas_cumprod)
        return signal * noise - spread * latents
    raise ValueError(f"unknown prediction type {prediction_type!r}")


def reconstruction_loss(prediction: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean square error per latent element, in float32.

    Args:
        prediction: (B, C, h, w).
        target: (B, C, h, w).
        weights: (B, 1, h, w), how much each place counts; None where all count alike.
    """
    return reconstruction_losses(prediction, target, weights, 1)[0]


def reconstruction_losses(prediction: Tensor, target: Tensor, weights: Tensor | None, people: int) -> Tensor:
    """Return the same for each of R people, (R,), whose rows stand person after person."""
    squares = (prediction.float() - target.float()).square()
    if weights is None:
        return squares.reshape(people, -1).mean(dim=1)
    summed = (squares * weights).reshape(people, -1).sum(dim=1)
    return summed / (weights.reshape(people, -1).sum(dim=1) * squares.shape[1]).clamp(min=1)


def face_wise_attention_loss(layers: Sequence[LayerAttention], alignment: Alignment | None = None) -> Tensor:
    """Return how far the target prompt's attention is from the reference prompt's (paper section 3.3).

    The same queries are matched against target keys and reference keys. The squared difference of the two
    distributions is summed over text positions and averaged over pixels, heads, rows and then layers: a number from 0
    to 2 that depends neither on the resolution nor on the number of layers, heads or unused text positions.

    Gradients reach the target's keys only, so P^K: neither the reference nor the queries, which depend on the tokens
    of earlier layers, may move to make the two agree.

    Args:
        layers: One entry a cross-attention layer.
        alignment: Where the placeholder and the class word take different numbers of positions.

    Raises:
        ValueError: No layers.
    """
    return face_wise_attention_losses(layers, alignment, 1)[0]


def face_wise_attention_losses(layers: Sequence[LayerAttention], alignment: Alignment | None, people: int) -> Tensor:
    """Return the same for each of R people, (R,), whose rows stand person after person.

    Raises:
        ValueError: No layers.
    """
    if not layers:
        raise ValueError("no attention to compare")
    losses: Tensor = _FaceWiseLosses.apply(layers, alignment, people, *(layer.keys for layer in layers))
    return losses


class _FaceWiseLosses(torch.autograd.Function):
    """The losses, with their gradients worked out at once: attention maps are large, and nothing of them is kept."""

    @staticmethod
    def forward(
        ctx: Any, layers: Sequence[LayerAttention], alignment: Alignment | None, people: int, *keys: Tensor
    ) -> Tensor:
        losses: list[Tensor] = []
        gradients: list[Tensor | None] = [None] * len(layers)
        for group in _groups(layers):
            queries, reference, target = (
                torch.stack(parts).float()
                for parts in zip(*((layers[n].queries, layers[n].reference_keys, keys[n]) for n in group), strict=True)
            )
            target.requires_grad_(any(ctx.needs_input_grad[3:]))
            with torch.set_grad_enabled(target.requires_grad):
                each = _losses_of_group(queries, target, reference, layers[group[0]].scale, alignment, people)
                each = each / len(layers)
                loss = each.sum()
            losses.append(each.detach())
            if target.requires_grad:
                (gradient,) = torch.autograd.grad(loss, target)
                for place, part in zip(group, gradient.unbind(), strict=True):
                    gradients[place] = part
        ctx.gradients, ctx.dtypes = gradients, [each.dtype for each in keys]
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum(dim=0)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> Any:
        found = [each for each in ctx.gradients if each is not None]
        # Scaled first: what float16 cannot tell from 0 may be large enough by then.
        if len(outputs[0]) == 1:
            scaled = torch._foreach_mul(found, outputs[0][0])
        else:  # each person's rows by their own
            by_row = outputs[0].repeat_interleave(len(found[0]) // len(outputs[0])) if found else outputs[0]
            scaled = torch._foreach_mul(found, [by_row.view(-1, 1, 1, 1)] * len(found))
        return None, None, None, *(each.to(dtype) for each, dtype in zip(scaled, ctx.dtypes, strict=True))


def _groups(layers: Sequence[LayerAttention]) -> list[list[int]]:
    """Which layers are worked on together: of equal shapes, as many as make a tensor of moderate size."""
    groups: dict[tuple[Any, ...], list[list[int]]] = {}
    for place, layer in enumerate(layers):
        most = _TOGETHER // (layer.queries[..., 0].numel() * layer.keys.shape[-2])
        found = groups.setdefault((layer.queries.shape, layer.keys.shape, layer.scale), [])
        if not found or len(found[-1]) >= max(most, 1):
            found.append([])
        found[-1].append(place)
    return [group for found in groups.values() for group in found]


def _losses_of_group(
    queries: Tensor, keys: Tensor, reference_keys: Tensor, scale: float, alignment: Alignment | None, people: int
) -> Tensor:
    """Return each person's sum of the layers' losses, (R,); shapes as in `LayerAttention`, with layers before them."""
    target = torch.softmax(queries @ (keys * scale).transpose(-1, -2), dim=-1)
    with torch.no_grad():
        reference = torch.softmax(queries @ (reference_keys * scale).transpose(-1, -2), dim=-1)
    if alignment is not None:
        reference = reference @ alignment.reference.unsqueeze(1)
        target = target @ alignment.target.unsqueeze(1)
    count = target[0, ..., 0].numel() // people
    if people == 1:
        return F.mse_loss(target, reference, reduction="sum").view(1) / count
    by_person = (target - reference).unflatten(1, (people, -1)).square()
    return by_person.sum(dim=(0, 2, 3, 4, 5)) / count


def _signal_and_spread(timesteps: Tensor, alphas_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    alphas = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    return alphas.sqrt(), (1 - alphas).sqrt()

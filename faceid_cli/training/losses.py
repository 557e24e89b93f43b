"""The losses, as pure functions (paper sections 3.2 and 3.3).

Shapes: B rows, C x h x w a latent picture, M heads, Q pixels of a layer, T text positions, d width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from faceid_cli.attention.record import attention_probabilities


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
    squares = (prediction.float() - target.float()).square()
    if weights is None:
        return squares.mean()
    return (squares * weights).sum() / (weights.sum() * squares.shape[1]).clamp(min=1)


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
    if not layers:
        raise ValueError("no attention to compare")
    # Attention maps are large, and cheap to compute again in the backward pass.
    each = [_again_in_backward(layer, alignment) for layer in layers]
    return torch.stack(each).mean()


def _again_in_backward(layer: LayerAttention, alignment: Alignment | None) -> Tensor:
    found: Tensor = checkpoint(_layer_loss, layer, alignment, use_reentrant=False, preserve_rng_state=False)
    return found


def _layer_loss(layer: LayerAttention, alignment: Alignment | None) -> Tensor:
    target, reference = _both(layer)
    if alignment is not None:
        reference = reference @ alignment.reference.unsqueeze(1)
        target = target @ alignment.target.unsqueeze(1)
    return (target - reference).square().sum(dim=-1).mean()


def _both(layer: LayerAttention) -> tuple[Tensor, Tensor]:
    """Attention to the target prompt, with gradients to its keys alone, and to the reference prompt: (B, M, Q, T)."""
    queries = layer.queries.detach()
    with torch.no_grad():
        reference = attention_probabilities(queries, layer.reference_keys, layer.scale)
    return attention_probabilities(queries, layer.keys, layer.scale), reference


def _signal_and_spread(timesteps: Tensor, alphas_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    alphas = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    return alphas.sqrt(), (1 - alphas).sqrt()

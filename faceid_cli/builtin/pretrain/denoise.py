"""The denoiser's part of a training step, forwards and backwards; on a GPU recorded once and replayed.

A step of this small network is some thousands of short kernels. Launched one by one from Python they keep a large GPU
half idle; as a CUDA graph they are one launch.

Shapes: B batch, C latent channels, h and w latent height and width, T text positions, D text width.
"""

from __future__ import annotations

import sys

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from faceid_cli.builtin.pretrain.networks import half_precision

WARM_UPS = 3


class Denoising:
    """Forwards and backwards through the denoiser.

    Args:
        unet: The denoiser; its parameters' gradients are added to.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self.unet = unet

    def backward(
        self, noisy: Tensor, timesteps: Tensor, target: Tensor, weights: Tensor, context: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add this batch's gradients to the parameters'.

        Args:
            noisy: Noisy latents (B, C, h, w).
            timesteps: (B,) int64.
            target: The velocity, (B, C, h, w).
            weights: Of each place in the loss, (B, 1, h, w).
            context: The text's states, (B, T, D).

        Returns:
            The loss, and its gradient with respect to the context (B, T, D), float32.
        """
        leaf = context.detach().float().requires_grad_()
        with half_precision(noisy.device):
            predicted = self.unet(
                noisy.contiguous(memory_format=torch.channels_last), timesteps, encoder_hidden_states=leaf
            ).sample
        loss = ((predicted.float() - target).pow(2) * weights).mean()
        loss.backward()
        assert leaf.grad is not None
        return loss.detach(), leaf.grad


class Recorded(Denoising):
    """The same, replayed from a CUDA graph that is recorded for one shape of batch.

    Args:
        unet: The denoiser, on a CUDA device.
        latents: Shape of the noisy latents.
        context: Shape of the context.
    """

    def __init__(self, unet: UNet2DConditionModel, latents: tuple[int, ...], context: tuple[int, ...]) -> None:
        super().__init__(unet)
        device = unet.device
        for parameter in unet.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        kept = [parameter.grad.clone() for parameter in unet.parameters() if parameter.grad is not None]
        self.inputs = (
            torch.randn(latents, device=device),
            torch.full((latents[0],), 500, device=device),
            torch.randn(latents, device=device),
            torch.ones(latents[0], 1, *latents[2:], device=device),
            torch.randn(context, device=device),
        )
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                super().backward(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = super().backward(*self.inputs)
        for parameter, gradient in zip(unet.parameters(), kept, strict=True):
            assert parameter.grad is not None
            parameter.grad.copy_(gradient)

    def backward(
        self, noisy: Tensor, timesteps: Tensor, target: Tensor, weights: Tensor, context: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `Denoising.backward`; what is returned is overwritten by the next call."""
        for place, given in zip(self.inputs, (noisy, timesteps, target, weights, context.detach()), strict=True):
            place.copy_(given)
        self.graph.replay()
        return self.outputs


def denoising_for(unet: UNet2DConditionModel, latents: tuple[int, ...], context: tuple[int, ...]) -> Denoising:
    """The quickest way through the denoiser that works for these shapes; tells where recording does not."""
    if unet.device.type != "cuda":
        return Denoising(unet)
    try:
        return Recorded(unet, latents, context)
    except RuntimeError as error:
        print(f"steps of {latents} cannot be recorded, and are launched one by one: {error}", file=sys.stderr)
        return Denoising(unet)

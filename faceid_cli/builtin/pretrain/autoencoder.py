"""Train the autoencoder (diffusers AutoencoderKL, 4x downsampling, 4 latent channels).

    python -m faceid_cli.builtin.pretrain.autoencoder WORKDIR --minutes 12

Steps see 64 x 64 px crops, which cost a quarter, or whole pictures. Resumes from its checkpoint. Once the denoiser has
begun, only the decoder may change.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from faceid_cli.builtin.pretrain.checkpoints import Checkpoint
from faceid_cli.builtin.pretrain.pictures import SHARD_SIZE, Example, shard_examples, shard_file

LATENT_CHANNELS = 4
KL_WEIGHT = 1e-8
CROP_PX, WHOLE_PX = 64, 128


def build_autoencoder() -> AutoencoderKL:
    """The autoencoder's architecture, randomly initialised."""
    channels = (16, 32, 64)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=WHOLE_PX,
        mid_block_add_attention=False,
    )


def reconstruction_loss(made: Tensor, real: Tensor) -> Tensor:
    """Absolute error of pixels and of their differences to the right and below, so that edges stay sharp.

    Small networks learn light against dark and warm against cold long before green against pink: hence the squared
    error, which does not let rare strong colours fade, and the differences between colour channels.
    """
    error = made - real
    loss = error.abs().mean() + 6 * error.pow(2).mean()
    loss = loss + 6 * (error - error.mean(dim=1, keepdim=True)).pow(2).mean()
    for axis in (2, 3):
        loss = loss + 1.0 * (made.diff(dim=axis) - real.diff(dim=axis)).abs().mean()
    return loss


class Crops:
    """Random square crops of the drawn shards, faces more often than their share of the pictures.

    Args:
        work: Where the shards are.
        face_share: Share of crops that are placed around a face.
    """

    def __init__(self, work: Path, face_share: float = 0.6) -> None:
        self.work, self.face_share = work, face_share
        self.shards: list[np.ndarray] = []
        self.examples: list[list[Example]] = []
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that have been drawn since, memory-mapped."""
        while shard_file(self.work, len(self.shards)).exists():
            self.examples.append(shard_examples(len(self.shards)))
            self.shards.append(np.load(shard_file(self.work, len(self.shards)), mmap_mode="r"))

    def batch(self, count: int, size_px: int, rng: np.random.Generator) -> Tensor:
        """Draw crops, float32 (count, 3, size_px, size_px) in -1..1."""
        crops = []
        for _ in range(count):
            shard, item = int(rng.integers(len(self.shards))), int(rng.integers(SHARD_SIZE))
            left, top = rng.integers(0, WHOLE_PX - size_px + 1, 2)
            if rng.random() < self.face_share:
                figures = self.examples[shard][item].picture.figures
                figure = figures[int(rng.integers(len(figures)))]
                spread = rng.uniform(-12, 12, 2) - size_px / 2
                left = int(np.clip(figure.x + spread[0], 0, WHOLE_PX - size_px))
                top = int(np.clip(figure.y + spread[1], 0, WHOLE_PX - size_px))
            crops.append(self.shards[shard][item, top : top + size_px, left : left + size_px])
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def train(work: Path, minutes: float, whole: bool, device: str, decoder_only: bool = False) -> None:
    """Train for some minutes more, on crops or on whole pictures."""
    model = build_autoencoder().to(device, memory_format=torch.channels_last)
    if decoder_only:
        model.encoder.requires_grad_(False)
        model.quant_conv.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, betas=(0.9, 0.99))
    checkpoint = Checkpoint(work / "autoencoder", {"model": model}, optimizer)
    step = checkpoint.load()
    rng = np.random.default_rng([11, step])
    torch.manual_seed(step)
    crops = Crops(work)
    end, size_px, count = time.time() + 60 * minutes, WHOLE_PX if whole else CROP_PX, 6 if whole else 4
    started, first, running = time.time(), step, 0.0
    while time.time() < end:
        share = (time.time() - started) / (60 * minutes)
        warm = min(1.0, (step - first + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = warm * ((4e-4 if whole else 1.6e-3) * (1 - share) + 5e-5)
        if (step - first) % 500 == 499:
            crops.refresh()
        real = crops.batch(count, size_px, rng).to(device, memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            with torch.set_grad_enabled(not decoder_only):
                posterior = model.encode(real).latent_dist
            made = model.decode(posterior.sample()).sample
        loss = reconstruction_loss(made.float(), real) + KL_WEIGHT * posterior.kl().float().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        error = functional.mse_loss(made.float(), real).item()
        running = error if running == 0 else 0.98 * running + 0.02 * error
        if step % 100 == 0:
            psnr = 10 * np.log10(4 / running)
            print(
                f"step {step} psnr {psnr:.2f} dB, {count * (step - first) / (time.time() - started):.1f} pictures/s",
                flush=True,
            )
        if step % 300 == 0:
            checkpoint.save(step)
    checkpoint.save(step)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--whole", action="store_true", help="train on whole pictures instead of crops")
    parser.add_argument("--decoder", action="store_true", help="leave the encoder, and so the latents, as they are")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    train(arguments.work, arguments.minutes, arguments.whole, arguments.device, arguments.decoder)


if __name__ == "__main__":
    main()

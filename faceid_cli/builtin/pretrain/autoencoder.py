"""Train the autoencoder (diffusers AutoencoderKL, 8x downsampling, 4 latent channels, as Stable Diffusion's).

    python -m faceid_cli.builtin.pretrain.autoencoder WORKDIR --minutes 12

Steps see 128 x 128 px crops, which cost a quarter, or whole pictures. Resumes from its checkpoint. Once the denoiser
has begun, only the decoder may change (--decoder), or another autoencoder's latents have to be kept (--latents-of).
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from faceid_cli.builtin.draw import UNITS
from faceid_cli.builtin.draw.picture import Figure
from faceid_cli.builtin.pretrain.checkpoints import Checkpoint
from faceid_cli.builtin.pretrain.networks import half_precision
from faceid_cli.builtin.pretrain.pictures import SIZE_PX, shard_examples, shard_file
from faceid_cli.kept.paths import builtin_model_dir

LATENT_CHANNELS = 4
KL_WEIGHT = 1e-8
CROP_PX = 128
LEARNING_RATE, LEAST_RATE = 2e-3, 4e-5
EMA_DECAY = 0.999
NOISE = 0.06  # the most that is added to latents, of unit variance: a denoiser's are never exact
SAVE_SECONDS, LOG_STEPS, PREFETCH = 120, 100, 4


def build_autoencoder() -> AutoencoderKL:
    """The autoencoder's architecture, randomly initialised."""
    channels = (16, 32, 64, 96)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=SIZE_PX,
        mid_block_add_attention=False,
        scaling_factor=1.0,
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
        most_shards: How many to take in.
        face_share: Share of crops that are placed around a face.
    """

    def __init__(self, work: Path, most_shards: int, face_share: float = 0.6) -> None:
        self.work, self.most_shards, self.face_share = work, most_shards, face_share
        self.shards: list[np.ndarray] = []
        self.faces: list[list[np.ndarray]] = []  # a shard, a picture: centres of its heads in px, (people, 2)
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that have been drawn since, memory-mapped."""
        while len(self.shards) < self.most_shards and shard_file(self.work, len(self.shards)).exists():
            pixels = np.load(shard_file(self.work, len(self.shards)), mmap_mode="r")
            examples = shard_examples(len(self.shards), len(pixels))
            self.faces.append([_heads(example.picture.figures) for example in examples])
            self.shards.append(pixels)

    def batch(self, count: int, size_px: int, rng: np.random.Generator) -> Tensor:
        """Draw crops, uint8 (count, size_px, size_px, 3)."""
        crops = []
        for _ in range(count):
            shard = int(rng.integers(len(self.shards)))
            item = int(rng.integers(len(self.shards[shard])))
            left, top = rng.integers(0, SIZE_PX - size_px + 1, 2)
            if rng.random() < self.face_share:
                heads = self.faces[shard][item]
                place = heads[int(rng.integers(len(heads)))] + rng.uniform(-24, 24, 2) - size_px / 2
                left, top = np.clip(place, 0, SIZE_PX - size_px).astype(int)
            crops.append(self.shards[shard][item, top : top + size_px, left : left + size_px])
        return torch.from_numpy(np.stack(crops))


def _heads(figures: tuple[Figure, ...]) -> np.ndarray:
    return np.array([(figure.x, figure.y) for figure in figures]) * SIZE_PX / UNITS


def as_input(pixels: Tensor, device: str) -> Tensor:
    """uint8 (B, h, w, 3) as the autoencoder takes it: (B, 3, h, w) in -1..1 on the device."""
    moved = pixels.to(device).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return moved.contiguous(memory_format=torch.channels_last)


class Latents:
    """Where the latents come from that the decoder learns from, and what they may cost the encoder.

    Args:
        model: The autoencoder in training.
        decoder_only: Whether its encoder stays as it is.
        teacher: An autoencoder for smaller pictures, whose latents are to be kept; None for the model's own.
    """

    def __init__(self, model: AutoencoderKL, decoder_only: bool, teacher: AutoencoderKL | None) -> None:
        self.model, self.decoder_only, self.teacher = model, decoder_only, teacher

    def of(self, real: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of pictures (B, 3, px, px), and a loss of the encoder."""
        with torch.set_grad_enabled(not self.decoder_only):
            posterior = self.model.encode(real).latent_dist
        if self.teacher is None:
            return posterior.sample(), KL_WEIGHT * posterior.kl().float().mean()
        smaller = functional.avg_pool2d(real, SIZE_PX // self.teacher.config.sample_size)
        with torch.no_grad():
            wanted = self.teacher.encode(smaller).latent_dist.mode().float()
        mean = posterior.mean.float()
        loss = 0.5 * functional.mse_loss(mean, wanted) + 0.02 * functional.l1_loss(mean, wanted)
        # The decoder learns from either's.
        either = torch.rand(len(mean), 1, 1, 1, device=mean.device) < 0.5
        return torch.where(either, wanted, mean.detach()), loss + 1e-4 * (posterior.logvar.float() + 8).pow(2).mean()


def start_of(anew: bool) -> AutoencoderKL:
    """The shipped autoencoder, or a random one."""
    if anew:
        return build_autoencoder()
    loaded: AutoencoderKL = AutoencoderKL.from_pretrained(builtin_model_dir() / "vae", torch_dtype=torch.float32)
    return loaded


def train(
    work: Path,
    minutes: float,
    count: int,
    size_px: int,
    device: str,
    *,
    anew: bool = False,
    decoder_only: bool = False,
    latents_of: Path | None = None,
    duty: float = 1.0,
    shards: int = 16,
) -> None:
    """Train for some minutes more.

    Args:
        work: Where the shards are; the checkpoint goes there, too.
        minutes: How long; the learning rate falls over them.
        count: Pictures a step.
        size_px: Side of the crops.
        device: Where to train.
        anew: Begin from nothing instead of from the shipped autoencoder.
        decoder_only: Leave the encoder, and so the latents, as they are.
        latents_of: A folder with an autoencoder whose latents the encoder learns to make; None for its own.
        duty: Share of the time in which the device is used, for others who train on it.
        shards: How many of the drawn shards to use.
    """
    torch.backends.cudnn.benchmark = True
    model = start_of(anew).to(device, memory_format=torch.channels_last)
    teacher = None
    if latents_of:
        teacher = AutoencoderKL.from_pretrained(latents_of, torch_dtype=torch.float32).requires_grad_(False).to(device)
    if decoder_only:
        model.encoder.requires_grad_(False)
        model.quant_conv.requires_grad_(False)
    average = build_autoencoder().to(device).requires_grad_(False)
    average.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, betas=(0.9, 0.99))
    checkpoint = Checkpoint(work / "autoencoder", {"model": model, "average": average}, optimizer)
    first = step = checkpoint.load()
    torch.manual_seed(step)
    crops, latents = Crops(work, shards), Latents(model, decoder_only, teacher)
    while not crops.shards:
        time.sleep(0.5)
        crops.refresh()
    started = saved = time.time()
    running: Tensor | None = None
    with ThreadPoolExecutor(2) as readers:
        queue = [
            readers.submit(crops.batch, count, size_px, np.random.default_rng([11, step, n])) for n in range(PREFETCH)
        ]
        while (share := (time.time() - started) / (60 * minutes)) < 1:
            began = time.time()
            real = as_input(queue.pop(0).result(), device)
            queue.append(readers.submit(crops.batch, count, size_px, np.random.default_rng([11, PREFETCH, step])))
            warm = min(1.0, (step - first + 1) / 200)
            for group in optimizer.param_groups:
                group["lr"] = warm * (0.5 * (1 + np.cos(np.pi * share)) * (LEARNING_RATE - LEAST_RATE) + LEAST_RATE)
            with half_precision(real.device):
                hidden, loss = latents.of(real)
                hidden = hidden + NOISE * torch.rand_like(hidden[:, :1, :1, :1]) * torch.randn_like(hidden)
                made = model.decode(hidden).sample
            loss = loss + reconstruction_loss(made.float(), real)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            with torch.no_grad():
                old, new = list(average.parameters()), [parameter.detach() for parameter in model.parameters()]
                torch._foreach_lerp_(old, new, 1 - min(EMA_DECAY, (step - first) / (step - first + 20)))
                error = functional.mse_loss(made.float(), real)
                running = error if running is None else running.lerp(error, 0.02)
            if step % LOG_STEPS == 0:
                speed = count * (step - first) / (time.time() - started)
                print(
                    f"step {step} psnr {10 * np.log10(4 / float(running)):.2f} dB, {speed:.0f} pictures/s", flush=True
                )
                crops.refresh()
            if time.time() - saved > SAVE_SECONDS:
                checkpoint.save(step)
                saved = time.time()
            if duty < 1:
                if device == "cuda":
                    torch.cuda.synchronize()
                time.sleep((time.time() - began) * (1 - duty) / duty)
    checkpoint.save(step)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--batch", type=int, default=4, help="pictures a step")
    parser.add_argument("--whole", action="store_true", help="train on whole pictures instead of crops")
    parser.add_argument("--anew", action="store_true", help="begin from nothing, not from the shipped autoencoder")
    parser.add_argument("--decoder", action="store_true", help="leave the encoder, and so the latents, as they are")
    parser.add_argument("--latents-of", type=Path, help="a folder with an autoencoder whose latents are to be kept")
    parser.add_argument("--duty", type=float, default=1.0, help="share of the time in which the device is used")
    parser.add_argument("--shards", type=int, default=16, help="how many of the drawn shards to use")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    train(
        arguments.work,
        arguments.minutes,
        arguments.batch,
        SIZE_PX if arguments.whole else CROP_PX,
        arguments.device,
        anew=arguments.anew,
        decoder_only=arguments.decoder,
        latents_of=arguments.latents_of,
        duty=arguments.duty,
        shards=arguments.shards,
    )


if __name__ == "__main__":
    main()

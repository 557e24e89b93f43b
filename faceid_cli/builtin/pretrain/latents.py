"""Encode drawn shards for the denoiser's training, and write down what they show.

    python -m faceid_cli.builtin.pretrain.latents WORKDIR --shards 16

Takes each shard as soon as it is drawn, and ends when it has encoded as many as it was told to. A new encoder needs
WORKDIR/latents deleted, and the denoiser trained from nothing.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor

from faceid_cli.builtin.pretrain.dataset import Captioner, Described, Pool, describe
from faceid_cli.builtin.pretrain.pictures import has_twins, shard_examples, shard_file
from faceid_cli.builtin.pretrain.tokenizer import build_tokenizer
from faceid_cli.kept.paths import builtin_model_dir

BATCH = 64
WAIT_SECONDS = 0.5


def encoded_file(work: Path, shard: int) -> Path:
    """Where a shard's latents and descriptions are kept."""
    return work / "latents" / f"{shard:05d}.safetensors"


def encode(pixels: np.ndarray, autoencoder: AutoencoderKL) -> Tensor:
    """Latents of pictures (N, px, px, 3) uint8: float16 (N, C, h, w), on the CPU."""
    device = autoencoder.device
    parts = []
    with torch.no_grad():
        for start in range(0, len(pixels), BATCH):
            real = torch.from_numpy(pixels[start : start + BATCH].copy()).to(device)
            real = real.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
            parts.append(autoencoder.encode(real).latent_dist.mode().half().cpu().contiguous())
    return torch.cat(parts)


def encode_shard(work: Path, shard: int, autoencoder: AutoencoderKL, captioner: Captioner) -> None:
    """Encode a drawn shard, whole or not at all."""
    pixels = np.load(shard_file(work, shard), mmap_mode="r")
    described = describe(shard_examples(shard, len(pixels)), captioner)
    tensors = {field.name: getattr(described, field.name) for field in fields(Described)}
    file = encoded_file(work, shard)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    save_file({"latents": encode(pixels, autoencoder), **tensors}, partial)
    partial.replace(file)


def take(pool: Pool, work: Path, shard: int) -> bool:
    """Put an encoded shard into the pool; False where it is not there yet."""
    file = encoded_file(work, shard)
    if not file.exists():
        return False
    tensors = load_file(file)
    pool.add(tensors.pop("latents"), Described(**tensors), has_twins(shard))
    return True


def load_autoencoder(folder: Path, device: str) -> AutoencoderKL:
    """The autoencoder of a folder, a packaged model or WORKDIR, or the shipped one where it has none."""
    folder = folder if (folder / "vae").exists() else builtin_model_dir()
    loaded: AutoencoderKL = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    return loaded.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--shards", type=int, default=16, help="where to stop")
    parser.add_argument("--every", type=int, default=1, help="take each n-th, so that n processes can share the work")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    autoencoder = load_autoencoder(arguments.work, arguments.device)
    tokenizer = build_tokenizer(builtin_model_dir() / "tokenizer")
    shards = range(arguments.first, arguments.shards, arguments.every)
    missing = [shard for shard in shards if not encoded_file(arguments.work, shard).exists()]
    while missing:
        for shard in [shard for shard in missing if shard_file(arguments.work, shard).exists()]:
            captioner = Captioner(tokenizer, np.random.default_rng([29, shard]))
            encode_shard(arguments.work, shard, autoencoder, captioner)
            missing.remove(shard)
            print(encoded_file(arguments.work, shard), flush=True)
        time.sleep(WAIT_SECONDS)


if __name__ == "__main__":
    main()

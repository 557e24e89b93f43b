"""Train the denoiser and the text encoder together on the drawn shards.

    python -m faceid_cli.builtin.pretrain.diffusion WORKDIR --minutes 60

Resumes from its checkpoint; the learning rate falls over a run given with --decay. On a CPU one process a core is
fastest: `OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m faceid_cli.builtin.pretrain.diffusion ...`.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import CLIPTextModel

from faceid_cli.builtin.pretrain.checkpoints import Checkpoint
from faceid_cli.builtin.pretrain.dataset import Batch, Batches, LatentDataset
from faceid_cli.builtin.pretrain.networks import (
    PeopleEncoder,
    around,
    build_scheduler,
    build_text_encoder,
    build_unet,
    encode_text,
)
from faceid_cli.builtin.pretrain.tokenizer import build_tokenizer
from faceid_cli.builtin.pretrain.workers import Workers, learned_tensors

LEARNING_RATE, FINAL_LEARNING_RATE = 8e-4, 4e-5
TEXT_SHARE = 0.3  # of the learning rate, for the text encoder and the people encoder
WARM_UP_STEPS = 200
EMA_DECAY = 0.998
PEOPLE_FILE = "people_encoder.safetensors"  # in a packaged model, for further training only
SAVE_SECONDS = 240
LOADERS = 6
SNR_LIMIT = 5.0  # min-SNR weighting, arXiv 2303.09556


class Model(nn.Module):
    """Everything that is trained."""

    def __init__(self, work: Path) -> None:
        super().__init__()
        self.tokenizer = build_tokenizer(work / "tokenizer")
        self.unet = build_unet().to(memory_format=torch.channels_last)
        self.text_encoder = build_text_encoder(self.tokenizer)
        self.people = PeopleEncoder()

    def forward(self, noisy: Tensor, timesteps: Tensor, batch: Batch) -> Tensor:
        """Velocity predicted for noisy latents."""
        people = around(self.people(batch.traits))
        context = encode_text(self.text_encoder, batch.ids, batch.rows, batch.positions, people)
        return self.unet(noisy, timesteps, encoder_hidden_states=context).sample


def loss_of(model: Model, batch: Batch, alphas_cumprod: Tensor) -> Tensor:
    """Velocity loss with min-SNR weights, faces and things counting more than their area."""
    latents = batch.latents
    timesteps = (batch.moments * len(alphas_cumprod)).long().clamp(max=len(alphas_cumprod) - 1)
    alphas = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    noisy = alphas.sqrt() * latents + (1 - alphas).sqrt() * noise
    target = alphas.sqrt() * noise - (1 - alphas).sqrt() * latents
    with torch.autocast(latents.device.type, torch.bfloat16):
        predicted = model(noisy.contiguous(memory_format=torch.channels_last), timesteps, batch)
    snr = alphas.flatten() / (1 - alphas.flatten()).clamp(min=1e-6)
    weights = snr.clamp(max=SNR_LIMIT) / (snr + 1) + 0.15  # the pure-noise steps, where SNR is 0, count too
    errors = (predicted.float() - target).pow(2) * batch.importance
    return (errors.mean(dim=(1, 2, 3)) * weights).mean()


def train(
    work: Path,
    minutes: float,
    batch_size: int,
    decay: bool,
    device: str,
    shards: int,
    crops: float = 0.0,
    start: Path | None = None,
) -> None:
    """Train for some minutes more; a fresh run may start from a packaged model instead of random weights."""
    workers = Workers(device)
    if device == "cpu":
        # The fused attention's backward pass is slower than plain matrix products at so few positions.
        torch.backends.cuda.enable_flash_sdp(False)  # despite its name, for the CPU too
    with workers.first_goes_first():
        autoencoder = AutoencoderKL.from_pretrained(start / "vae" if start else work / "vae")
        data = LatentDataset(work, autoencoder.to(device, memory_format=torch.channels_last), device, shards)
        if start and not (work / "tokenizer").exists():
            shutil.copytree(start / "tokenizer", work / "tokenizer")
        model = Model(work).to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    # What was learned before, in text.py or an earlier run, changes more slowly than the denoiser.
    read = [*model.text_encoder.parameters(), *model.people.parameters()]
    groups = [{"params": list(model.unet.parameters()), "share": 1.0}, {"params": read, "share": TEXT_SHARE}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    checkpoint = Checkpoint(work / "diffusion", {"model": model, "average": average}, optimizer)
    first = step = checkpoint.load()
    if not step:
        if start:
            load_shipped(model, start)
        else:
            load_text(model, work)
        average.load_state_dict(model.state_dict())
    torch.manual_seed(64 * step + workers.rank)
    batches = Batches(data, batch_size, model.tokenizer, [step, workers.rank], crops)
    # A GPU takes batches faster than one process can write captions.
    loader = iter(DataLoader(batches, batch_size=None, num_workers=0 if device == "cpu" else LOADERS))
    alphas_cumprod = build_scheduler().alphas_cumprod.to(device)
    log = Log(work / "diffusion.jsonl", first, batch_size)
    started = saved = time.time()
    alone = 0  # steps since the last exchange
    while True:
        share = (time.time() - started) / (60 * minutes)
        rate = min(1.0, (step + alone + 1) / WARM_UP_STEPS) * LEARNING_RATE
        if decay:
            rate = FINAL_LEARNING_RATE + (rate - FINAL_LEARNING_RATE) * 0.5 * (1 + np.cos(np.pi * min(share, 1)))
        for group in optimizer.param_groups:
            group["lr"] = float(rate) * group["share"]
        batch = next(loader)
        batch = Batch(*(getattr(batch, field).to(device) for field in batch.__dataclass_fields__))
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, batch, alphas_cumprod)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        alone += 1
        update_average(average, model, min(EMA_DECAY, (step + alone) / (step + alone + 20)))
        log.add(loss.item())
        if not workers.due():
            continue
        step += workers.exchange(learned_tensors((model, average), optimizer), alone)
        alone = 0
        finished = workers.agree(time.time() > started + 60 * minutes)
        if workers.rank == 0:
            log.write(step)
            if finished or time.time() - saved > SAVE_SECONDS:
                checkpoint.save(step)
                saved = time.time()
        if finished:
            return


class Log:
    """The loss, smoothed, as printed lines and as one JSON object a line; steps are counted over all workers."""

    def __init__(self, file: Path, first_step: int, batch_size: int) -> None:
        self.file, self.first_step, self.batch_size = file, first_step, batch_size
        self.started, self.loss = time.time(), 0.0

    def add(self, loss: float) -> None:
        """Take in one step's loss."""
        self.loss = 0.99 * self.loss + 0.01 * loss if self.loss else loss

    def write(self, step: int) -> None:
        """Write a line."""
        seconds = time.time() - self.started
        line = {"step": step, "batch": self.batch_size, "loss": round(self.loss, 5), "seconds": round(seconds)}
        with self.file.open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(line, f"{(step - self.first_step) * self.batch_size / seconds:.1f} samples/s", flush=True)


def load_text(model: Model, work: Path) -> None:
    """Take over what `pretrain.text` learned in the same WORKDIR.

    Raises:
        FileNotFoundError: It has not been run.
    """
    learned = load_file(work / "text" / "model.safetensors")
    for name in ("text_encoder", "people"):
        part = {key.removeprefix(f"{name}."): value for key, value in learned.items() if key.startswith(f"{name}.")}
        model.get_submodule(name).load_state_dict(part)


def load_shipped(model: Model, folder: Path) -> None:
    """Take over the weights of a packaged model."""
    model.unet.load_state_dict(UNet2DConditionModel.from_pretrained(folder / "unet").state_dict())
    model.text_encoder.load_state_dict(CLIPTextModel.from_pretrained(folder / "text_encoder").state_dict())
    people = load_file(folder / PEOPLE_FILE)
    model.people.load_state_dict({name: tensor.float() for name, tensor in people.items()})


def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential moving average of the weights."""
    with torch.no_grad():
        pairs = list(zip(average.parameters(), model.parameters(), strict=True))
        torch._foreach_lerp_([old for old, _ in pairs], [new.detach() for _, new in pairs], 1 - decay)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--decay", action="store_true", help="let the learning rate fall over this run")
    parser.add_argument("--shards", type=int, default=16, help="how many of the drawn shards to use")
    parser.add_argument("--crops", type=float, default=0.5, help="share of batches that are crops around people")
    parser.add_argument("--from", dest="start", type=Path, help="a packaged model to go on from, in a fresh WORKDIR")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    train(
        arguments.work,
        arguments.minutes,
        arguments.batch,
        arguments.decay,
        arguments.device,
        arguments.shards,
        arguments.crops,
        arguments.start,
    )


if __name__ == "__main__":
    main()

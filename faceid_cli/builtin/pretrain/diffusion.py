"""Train the denoiser and the text encoder together on the encoded shards.

    python -m faceid_cli.builtin.pretrain.diffusion WORKDIR --minutes 9

Goes on from the shipped weights, or from its own checkpoint in WORKDIR, or with --anew from nothing. Shards are taken
in as they come. The learning rate rises and falls over each run, by the clock.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextModel

from faceid_cli.builtin.names import roster
from faceid_cli.builtin.pretrain.checkpoints import Checkpoint
from faceid_cli.builtin.pretrain.dataset import MAX_PEOPLE, Batch, Pool, is_cropped
from faceid_cli.builtin.pretrain.denoise import Denoising, denoising_for
from faceid_cli.builtin.pretrain.latents import take
from faceid_cli.builtin.pretrain.networks import (
    PeopleEncoder,
    around,
    build_scheduler,
    build_text_encoder,
    build_unet,
    encode_text,
    half_precision,
)
from faceid_cli.builtin.pretrain.tokenizer import build_tokenizer
from faceid_cli.kept.paths import builtin_model_dir

LEARNING_RATE, LEAST_SHARE = 5e-4, 0.01
TEXT_SHARE = 0.25  # of the learning rate, for the text encoder and the people encoder
WARM_UP_STEPS = 200
EMA_DECAY = 0.9995
PEOPLE_FILE = "people_encoder.safetensors"  # in a packaged model, for further training only
SAVE_SECONDS, LOG_SECONDS = 240, 10
SNR_LIMIT = 5.0  # min-SNR weighting, arXiv 2303.09556
KINDS = ("whole", "crop", "twin crop", "whole", "crop", "whole", "twin whole", "crop")  # of batches, in turns


class Model(nn.Module):
    """Everything that is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = build_tokenizer(builtin_model_dir() / "tokenizer")
        self.placeholders = [self.tokenizer.convert_tokens_to_ids(f"{name}</w>") for name in roster()[:MAX_PEOPLE]]
        self.unet = build_unet().to(memory_format=torch.channels_last)
        self.text_encoder = build_text_encoder(self.tokenizer)
        self.people = PeopleEncoder()

    def context(self, batch: Batch) -> Tensor:
        """What the denoiser reads: the captions' states, (B, T, D)."""
        with half_precision(batch.ids.device):
            people = around(self.people(batch.traits), batch.people_noise)
            return encode_text(self.text_encoder, batch.ids, self.placeholders, people)


def noised(batch: Batch, alphas_cumprod: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Noisy latents, timesteps, the velocity to be predicted, and the weight of each of its values in the loss."""
    timesteps = (batch.moments * len(alphas_cumprod)).long().clamp(max=len(alphas_cumprod) - 1)
    alphas = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    noisy = alphas.sqrt() * batch.latents + (1 - alphas).sqrt() * batch.noise
    target = alphas.sqrt() * batch.noise - (1 - alphas).sqrt() * batch.latents
    snr = alphas / (1 - alphas).clamp(min=1e-6)
    # The pure-noise steps, where SNR is 0, count too.
    weights = (snr.clamp(max=SNR_LIMIT) / (snr + 1) + 0.15) * batch.importance
    return noisy, timesteps, target, weights


class Trainer:
    """A model, its running average and its optimiser.

    Args:
        model: Everything that is trained, on its device.
        rate: The highest learning rate.
        warm_up: After how many steps it is reached.
        decay: Of the running average.
    """

    def __init__(
        self, model: Model, rate: float = LEARNING_RATE, warm_up: int = WARM_UP_STEPS, decay: float = EMA_DECAY
    ) -> None:
        self.model, self.rate, self.warm_up, self.decay = model, rate, warm_up, decay
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.groups(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.alphas_cumprod = build_scheduler().alphas_cumprod.to(model.unet.device)
        self.denoisings: dict[tuple[int, ...], Denoising] = {}

    def groups(self) -> list[dict[str, Any]]:
        """Parameters, and their share of the learning rate."""
        read = [*self.model.text_encoder.parameters(), *self.model.people.parameters()]
        return [{"params": list(self.model.unet.parameters()), "share": 1.0}, {"params": read, "share": TEXT_SHARE}]

    def aims(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the denoiser is given, and what it should say: `noised`, unless a lesson knows better."""
        return noised(batch, self.alphas_cumprod)

    def step(self, batch: Batch, number: int, share: float) -> Tensor:
        """Learn from one batch; returns its loss, on the device.

        Args:
            batch: What to learn from.
            number: How many steps came before in this run.
            share: How much of the run is over, 0..1.
        """
        falling = 0.5 * (1 + math.cos(math.pi * min(share, 1.0))) * (1 - LEAST_SHARE) + LEAST_SHARE
        rate = self.rate * min(1.0, (number + 1) / self.warm_up) * falling
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        context = self.model.context(batch)
        shape = tuple(batch.latents.shape)
        if shape not in self.denoisings:
            self.denoisings[shape] = denoising_for(self.model.unet, shape, tuple(context.shape))
        loss, context_gradient = self.denoisings[shape].backward(*self.aims(batch), context)
        context.backward(context_gradient.to(context.dtype))
        learned = list(self.model.parameters())
        nn.utils.clip_grad_norm_(learned, 1.0, foreach=True)
        self.optimizer.step()
        # In place: a recorded step adds to these very tensors.
        torch._foreach_zero_([parameter.grad for parameter in learned if parameter.grad is not None])
        decay = min(self.decay, (number + 1) / (number + 20))
        with torch.no_grad():
            new = [parameter.detach() for parameter in learned]
            torch._foreach_lerp_(list(self.average.parameters()), new, 1 - decay)
        return loss


def train(
    work: Path,
    minutes: float,
    batch_size: int,
    device: str,
    shards: int,
    rate: float = LEARNING_RATE,
    anew: bool = False,
) -> None:
    """Train for some minutes more."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    model = Model().to(device)
    trainer = Trainer(model, rate)
    checkpoint = Checkpoint(work / "diffusion", {"model": model, "average": trainer.average}, trainer.optimizer)
    first = step = checkpoint.load()
    if not step:
        if anew:
            load_text(model, work)
        else:
            load_shipped(model, builtin_model_dir())
        trainer.average.load_state_dict(model.state_dict())
    torch.manual_seed(step)
    pool = Pool(device, step)
    waiting = list(range(shards))
    log = Log(work / "diffusion.jsonl")
    started = saved = time.time()
    while (share := (time.time() - started) / (60 * minutes)) < 1:
        if waiting and (step % 10 == 0 or not len(pool)):
            waiting = [shard for shard in waiting if not take(pool, work, shard)]
            if not len(pool):
                time.sleep(0.1)
                continue
        kind = KINDS[step % len(KINDS)]
        if not pool.ready(kind):
            kind = "crop"
        batch = pool.batch(kind, 2 * batch_size if is_cropped(kind) else batch_size)
        loss = trainer.step(batch, step - first, share)
        step += 1
        log.add(kind, loss, len(batch.latents), step, len(pool))
        if time.time() - saved > SAVE_SECONDS:
            checkpoint.save(step)
            saved = time.time()
    checkpoint.save(step)


class Log:
    """The losses, smoothed, as printed lines and as one JSON object a line."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.started = self.written = time.time()
        self.losses: dict[str, Tensor] = {}
        self.seen = 0

    def add(self, kind: str, loss: Tensor, pictures: int, step: int, drawings: int) -> None:
        """Take in one step's loss; write a line when it is time."""
        old = self.losses.get(kind)
        self.losses[kind] = loss.detach().clone() if old is None else old.lerp(loss.detach(), 0.03)
        self.seen += pictures
        if time.time() - self.written < LOG_SECONDS:
            return
        self.written = time.time()
        line: dict[str, Any] = {"step": step, "seconds": round(self.written - self.started), "drawings": drawings}
        line |= {"samples": self.seen, "samples/s": round(self.seen / (self.written - self.started))}
        line |= {name: round(float(value), 5) for name, value in self.losses.items()}
        with self.file.open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


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


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--shards", type=int, default=16, help="how many of the drawn shards to use")
    parser.add_argument("--rate", type=float, default=LEARNING_RATE, help="the highest learning rate")
    parser.add_argument("--anew", action="store_true", help="a denoiser from nothing, text encoders from WORKDIR/text")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    train(
        arguments.work,
        arguments.minutes,
        arguments.batch,
        arguments.device,
        arguments.shards,
        arguments.rate,
        arguments.anew,
    )


if __name__ == "__main__":
    main()

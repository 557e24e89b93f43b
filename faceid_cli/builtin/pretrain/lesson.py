"""Teach a packaged model a word that it misses, or a rule, and change nothing else.

    python -m faceid_cli.builtin.pretrain.lesson WORKDIR MODEL OUTPUT "eyes closed" --minutes 40
    python -m faceid_cli.builtin.pretrain.lesson WORKDIR MODEL OUTPUT "one hand" --minutes 30 --share 0.7

Half an hour on two cores. Drawings come in twos that differ by the word alone (for a rule: drawings that obey it).
Where they differ, the truth is the target, weighted as if that place were half of the picture; everywhere else, and in
ordinary pictures, the target is what the model said before, so that nothing is forgotten. Captions name the word for
the one and never for the other. `concept_check` measures which words need it.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor

from faceid_cli.builtin.draw import UNITS, held_place
from faceid_cli.builtin.draw.picture import Picture
from faceid_cli.builtin.pretrain.dataset import LATENT_SIZE, Batch, Captioner, Described, Pool, describe, is_cropped
from faceid_cli.builtin.pretrain.diffusion import Log, Model, Trainer, load_shipped, noised
from faceid_cli.builtin.pretrain.latents import encode, load_autoencoder
from faceid_cli.builtin.pretrain.networks import half_precision
from faceid_cli.builtin.pretrain.package import package_pipeline
from faceid_cli.builtin.pretrain.pictures import TWINS_EVERY, Example, pixels_of, shard_examples, twins
from faceid_cli.builtin.vocabulary import ATTRIBUTES, HELD_OBJECTS

LEARNING_RATE, REST_SHARE = 2e-4, 0.15  # cross-attention and text encoder learn at the full rate, the rest at a share
WARM_UP_STEPS, EMA_DECAY = 30, 0.998
TRUTH_WEIGHT = 0.3
KINDS = ("twin crop", "twin crop", "twin whole", "crop", "twin crop", "whole", "twin whole", "crop")
RULES = ("one hand",)
RULE_KINDS = ("twin whole", "twin whole", "whole", "twin whole", "crop")  # where things go is settled in whole pictures
SHARD = 512  # pictures drawn and encoded at a time
PLAIN_SHARDS = 5000  # ordinary pictures of lessons begin here: no other training sees them


class Lesson(Trainer):
    """Training towards the truth where it matters and towards a frozen copy of the model elsewhere.

    Args:
        model: The model, on its device.
        rate: The highest learning rate.
    """

    def __init__(self, model: Model, rate: float) -> None:
        model.people.requires_grad_(False)
        super().__init__(model, rate, WARM_UP_STEPS, EMA_DECAY)
        self.before = copy.deepcopy(model).eval().requires_grad_(False)

    def groups(self) -> list[dict[str, Any]]:
        """The words' way through the model at the full rate."""
        named = list(self.model.unet.named_parameters())
        reads = [parameter for name, parameter in named if "attn2" in name]
        rest = [parameter for name, parameter in named if "attn2" not in name]
        text = list(self.model.text_encoder.parameters())
        return [{"params": [*reads, *text], "share": 1.0}, {"params": rest, "share": REST_SHARE}]

    def aims(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The truth where twins differ; elsewhere what the model said before.

        a (x - p)^2 + b (x - q)^2 has its gradient in common with (a + b) (x - r)^2, r their weighted mean.
        """
        noisy, timesteps, truth, weights = noised(batch, self.alphas_cumprod)
        with torch.no_grad(), half_precision(noisy.device):
            context = self.before.context(batch)
            said = self.before.unet(noisy, timesteps, encoder_hidden_states=context).sample.float()
        there = batch.difference
        scale = weights / batch.importance
        keep = weights * (1 - there)
        learn = scale * TRUTH_WEIGHT * there / there.mean(dim=(2, 3), keepdim=True).clamp(min=1 / LATENT_SIZE**2)
        together = (keep + learn).clamp(min=1e-8)
        return noisy, timesteps, (keep * said + learn * truth) / together, together


def lesson_examples(word: str, pairs: int, seed: int) -> list[Example]:
    """What the lesson's drawings show, in twos.

    Raises:
        ValueError: Neither an attribute nor a thing nor a rule.
    """
    rng = np.random.default_rng([0x1E55, seed])
    if word in (*ATTRIBUTES, *HELD_OBJECTS):
        return twins(pairs, (word,), rng)
    if word == "one hand":
        return twins(2 * pairs, HELD_OBJECTS, rng)[::2]
    raise ValueError(f"{word} is none of {', '.join((*ATTRIBUTES, *HELD_OBJECTS, *RULES))}")


def both_hands(picture: Picture) -> np.ndarray:
    """Where a figure that holds something has its hands: 255 there, 0 elsewhere, uint8 (LATENT_SIZE, LATENT_SIZE)."""
    truth = np.zeros((LATENT_SIZE, LATENT_SIZE), np.uint8)
    for figure in picture.figures:
        for hand in (-1, 1) if figure.held else ():
            x, y = held_place(replace(figure, hand=hand))
            (left, right), (top, bottom) = (
                [round(max(center + side * half * figure.scale, 0) * LATENT_SIZE / UNITS) for side in (-1, 1)]
                for center, half in ((x, 15), (y, 17))
            )
            truth[top:bottom, left:right] = 255
    return truth


def prepare(
    work: Path, word: str, pairs: int, autoencoder: AutoencoderKL, captioner: Captioner, shard: int = SHARD
) -> None:
    """Draw and encode the lesson's pictures, and half as many ordinary ones as pairs, as files that are kept."""
    folder = work / "lesson" / word.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[tuple[Path, list[Example]]] = []
    for number in range(math.ceil(2 * pairs / shard)):
        parts.append((folder / f"twins-{number:03d}.safetensors", lesson_examples(word, shard // 2, number)))
    for number in range(math.ceil(pairs / 2 / shard)):
        plain = shard_examples(PLAIN_SHARDS + TWINS_EVERY * number, shard)
        parts.append((folder / f"plain-{number:03d}.safetensors", plain))
    missing = [(file, examples) for file, examples in parts if not file.exists()]
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        drawn = processes.map(pixels_of, [examples for _, examples in missing])
        for (file, examples), pixels in zip(missing, drawn, strict=True):
            described = describe(examples, captioner)
            tensors = {field.name: getattr(described, field.name) for field in fields(Described)}
            tensors["latents"] = encode(pixels, autoencoder)
            if word in RULES and file.name.startswith("twins"):
                tensors["truth"] = torch.from_numpy(np.stack([both_hands(example.picture) for example in examples]))
            save_file(tensors, file.with_suffix(".partial"))
            file.with_suffix(".partial").replace(file)
            print(file, flush=True)


def pool_of(work: Path, word: str, device: str) -> Pool:
    """The lesson's pictures, ready to be drawn from."""
    pool = Pool(device, 0)
    for file in sorted((work / "lesson" / word.replace(" ", "-")).glob("*.safetensors")):
        tensors = load_file(file)
        latents, truth = tensors.pop("latents"), tensors.pop("truth", None)
        pool.add(latents, Described(**tensors), file.name.startswith("twins"), truth)
    return pool


def teach(work: Path, model: Model, word: str, minutes: float, batch_size: int, rate: float) -> Model:
    """Train for some minutes; returns the averaged model."""
    torch.manual_seed(1)
    lesson, pool, log = Lesson(model, rate), pool_of(work, word, str(model.unet.device)), Log(work / "lesson.jsonl")
    kinds = RULE_KINDS if word in RULES else KINDS
    started, step = time.time(), 0
    while (share := (time.time() - started) / (60 * minutes)) < 1:
        kind = kinds[step % len(kinds)]
        batch = pool.batch(kind, batch_size if is_cropped(kind) else max(batch_size // 3, 2))
        loss = lesson.step(batch, step, share)
        step += 1
        log.add(kind, loss, len(batch.latents), step, len(pool))
    return lesson.average


def mixed(before: dict[str, Tensor], after: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights on the way from one model to the other: all the way may forget more than it is worth."""
    return {name: before[name].float().lerp(after[name].float(), share) for name in before}


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("model", type=Path, help="a packaged model")
    parser.add_argument("output", type=Path, help="the folder of the taught one")
    parser.add_argument("word", choices=(*ATTRIBUTES, *HELD_OBJECTS, *RULES))
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--pairs", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=24, help="crops a step, and a third as many whole pictures")
    parser.add_argument("--rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--share", type=float, default=1.0, help="how far to go towards what was learned, 0 to 1")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args(argv)
    model = Model()
    load_shipped(model, arguments.model)
    autoencoder = load_autoencoder(arguments.model, arguments.device)
    captioner = Captioner(model.tokenizer, np.random.default_rng(29))
    prepare(arguments.work, arguments.word, arguments.pairs, autoencoder, captioner)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    taught = teach(
        arguments.work,
        model.to(arguments.device),
        arguments.word,
        arguments.minutes,
        arguments.batch,
        arguments.rate,
    )
    after = {name: tensor.cpu() for name, tensor in taught.state_dict().items()}
    learned = arguments.work / "lesson.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in mixed(before, after, arguments.share).items()}, learned)
    print(package_pipeline(autoencoder.cpu(), arguments.output, learned))


if __name__ == "__main__":
    main()

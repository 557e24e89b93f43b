"""Teach the text encoder what captions say before the denoiser needs it, as CLIP is taught before Stable Diffusion.

    python -m faceid_cli.builtin.pretrain.text WORKDIR --minutes 6

From the states behind a caption (its end token and the padding, which cross-attention sees too) small heads must tell
what the picture shows; from the state of a name, the person's traits. The heads are thrown away. Resumes from its
checkpoint.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from faceid_cli.builtin.people import TRAITS
from faceid_cli.builtin.pretrain.checkpoints import Checkpoint
from faceid_cli.builtin.pretrain.dataset import Captioner, describe
from faceid_cli.builtin.pretrain.networks import TEXT_WIDTH, PeopleEncoder, around, build_text_encoder, encode_text
from faceid_cli.builtin.pretrain.pictures import Example, shard_examples
from faceid_cli.builtin.pretrain.tokenizer import build_tokenizer
from faceid_cli.builtin.vocabulary import ALL_SCENES, ATTRIBUTES, COLORS, GARMENTS, LIGHTS, OBJECTS
from faceid_cli.kept.paths import builtin_model_dir

LEARNING_RATE = 1.5e-3
# What is told from a whole caption, each one choice of so many.
CHOICES = {
    "scene": len(ALL_SCENES),
    "thing": len(OBJECTS) + 1,
    "people": 3,
    "light": len(LIGHTS),
    "garment": len(GARMENTS),
    "color": len(COLORS),
}


class TextModel(nn.Module):
    """The text encoder, the people encoder, and the heads that are thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = build_tokenizer(builtin_model_dir() / "tokenizer")
        self.text_encoder = build_text_encoder(self.tokenizer)
        self.people = PeopleEncoder()
        self.choices = nn.ModuleDict({name: nn.Linear(TEXT_WIDTH, count) for name, count in CHOICES.items()})
        self.attributes = nn.Linear(TEXT_WIDTH, len(ATTRIBUTES))
        self.traits = nn.Linear(TEXT_WIDTH, TRAITS)


def answers(examples: list[Example]) -> tuple[dict[str, Tensor], Tensor]:
    """The truth about pictures: choices by name, each (B,) int64, and attributes of anybody, (B, A) float32."""
    rows: dict[str, list[int]] = {name: [] for name in CHOICES}
    attributes = torch.zeros(len(examples), len(ATTRIBUTES))
    for row, example in enumerate(examples):
        picture = example.picture
        held = next((figure.held for figure in picture.figures if figure.held), picture.shared)
        rows["scene"].append(ALL_SCENES.index(picture.scene))
        rows["thing"].append(OBJECTS.index(held) + 1 if held else 0)
        rows["people"].append(len(picture.figures) - 1)
        rows["light"].append(LIGHTS.index(picture.light))
        rows["garment"].append(GARMENTS.index(picture.figures[0].garment))
        rows["color"].append(list(COLORS).index(picture.figures[0].garment_color))
        for figure in picture.figures:
            for word in figure.attributes:
                attributes[row, ATTRIBUTES.index(word)] = 1
    return {name: torch.tensor(values) for name, values in rows.items()}, attributes


def loss_of(model: TextModel, captioner: Captioner, examples: list[Example], rng: np.random.Generator) -> Tensor:
    """How badly the heads read the captions of the examples."""
    described = describe(examples, captioner)
    ids = described.ids[:, 0].long()
    placeholders = model.tokenizer.convert_tokens_to_ids([f"{name}</w>" for name in captioner.placeholders])
    people = model.people(described.traits)
    people = around(people, torch.randn(*people.shape[:2], 1 + TEXT_WIDTH))
    states = encode_text(model.text_encoder, ids, placeholders, people)
    rows, positions = torch.isin(ids, torch.tensor(placeholders)).nonzero(as_tuple=True)
    places = (ids[rows, positions, None] == torch.tensor(placeholders)).int().argmax(dim=1)
    traits = described.traits[rows, places]
    ends = (ids == model.tokenizer.eos_token_id).int().argmax(dim=1)
    behind = torch.from_numpy(rng.integers(ends.numpy(), ids.shape[1]))
    choices, attributes = answers(examples)
    loss = torch.zeros(())
    for place in (ends, behind):
        summary = states[torch.arange(len(ids)), place]
        for name, head in model.choices.items():
            loss = loss + functional.cross_entropy(head(summary), choices[name]) / 2
        loss = loss + 4 * functional.binary_cross_entropy_with_logits(model.attributes(summary), attributes) / 2
        alone = torch.bincount(rows, minlength=len(ids))[rows] == 1
        loss = loss + functional.mse_loss(model.traits(summary[rows[alone]]), traits[alone]) / 2
    return loss + functional.mse_loss(model.traits(states[rows, positions]), traits)


def train(work: Path, minutes: float, batch_size: int) -> None:
    """Train for some minutes more; the learning rate falls to nothing at the end."""
    model = TextModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.01)
    checkpoint = Checkpoint(work / "text", {"model": model}, optimizer)
    first = step = checkpoint.load()
    torch.manual_seed(step)
    rng = np.random.default_rng([31, step])
    captioner = Captioner(model.tokenizer, np.random.default_rng([37, step]))
    examples = [example for shard in range(4) for example in shard_examples(shard)]
    started, running = time.time(), 0.0
    while (share := (time.time() - started) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step - first + 1) / 100) * (1 - share)
        chosen = [examples[int(number)] for number in rng.integers(len(examples), size=batch_size)]
        loss = loss_of(model, captioner, chosen, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        running = loss.item() if step == first + 1 else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            speed = (step - first) * batch_size / (time.time() - started)
            print(json.dumps({"step": step, "loss": round(running, 4)}), f"{speed:.0f} captions/s", flush=True)
        if step % 500 == 0:
            checkpoint.save(step)
    checkpoint.save(step)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    train(arguments.work, arguments.minutes, arguments.batch)


if __name__ == "__main__":
    main()

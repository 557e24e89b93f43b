"""How well a packaged model knows each word: before anything is rendered, in two measures.

    python -m faceid_cli.builtin.pretrain.concept_check MODEL --twins 24 --output concepts.json

How far the word moves the text encoder's states, as a share of their norm; and how much smaller the denoiser's error is
with the word than without it, where drawings that show it differ from their twins. A word of little effect in either
needs a lesson (`pretrain.lesson`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from faceid_cli.builtin.pretrain.dataset import differences
from faceid_cli.builtin.pretrain.diffusion import Model, load_shipped
from faceid_cli.builtin.pretrain.latents import encode, load_autoencoder
from faceid_cli.builtin.pretrain.networks import build_scheduler
from faceid_cli.builtin.pretrain.pictures import pixels_of, twins
from faceid_cli.builtin.prompts import known_prompt
from faceid_cli.builtin.vocabulary import ATTRIBUTES, HELD_OBJECTS

TIMESTEPS = (300, 600)
WHO = "a person"


def texts_of(word: str) -> tuple[str, str]:
    """A caption with the word, and the same without it."""
    held, attribute = (word, None) if word in HELD_OBJECTS else (None, word)
    with_word, without = known_prompt(None, held, attribute), known_prompt()
    return with_word.text.format(WHO), without.text.format(WHO)


def states_of(model: Model, text: str) -> Tensor:
    """The text encoder's states of a text, (1, T, D)."""
    device = model.unet.device
    ids = model.tokenizer(text, padding="max_length", truncation=True, return_tensors="pt").input_ids
    states: Tensor = model.text_encoder(ids.to(device))[0]
    return states


def effect(model: Model, word: str) -> float:
    """How far the word moves the states behind it, as a share of their norm."""
    said, unsaid = (states_of(model, text)[0] for text in texts_of(word))
    behind = len(model.tokenizer(texts_of(word)[1]).input_ids) - 1
    return float((said[behind:] - unsaid[behind:]).norm() / unsaid[behind:].norm())


def errors(model: Model, word: str, latents: Tensor) -> tuple[float, float]:
    """The denoiser's error where pictures that show the word differ from their twins, with the word and without."""
    alphas_cumprod = build_scheduler().alphas_cumprod.to(latents.device)
    where, shown = differences(latents)[::2], latents[::2]
    generator = torch.Generator().manual_seed(0)
    found = dict.fromkeys(texts_of(word), 0.0)
    for timestep in TIMESTEPS:
        alpha = alphas_cumprod[timestep]
        noise = torch.randn(shown.shape, generator=generator).to(latents.device)
        noisy, target = (
            alpha.sqrt() * shown + (1 - alpha).sqrt() * noise,
            alpha.sqrt() * noise - (1 - alpha).sqrt() * shown,
        )
        for text in found:
            context = states_of(model, text).expand(len(noisy), -1, -1)
            said = model.unet(noisy, timestep, encoder_hidden_states=context).sample
            error = ((said - target).pow(2).mean(dim=1, keepdim=True) * where).sum() / where.sum()
            found[text] += float(error) / len(TIMESTEPS)
    with_word, without = found.values()
    return with_word, without


def main() -> None:
    """Print a line a word, the weakest first, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--twins", type=int, default=24, help="pictures a word, each with its twin")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    model = Model()
    load_shipped(model, arguments.model)
    model = model.eval().requires_grad_(False).to(arguments.device)
    autoencoder = load_autoencoder(arguments.model, arguments.device)
    report = {}
    for word in (*ATTRIBUTES, *HELD_OBJECTS):
        examples = twins(arguments.twins, (word,), np.random.default_rng([0xCC, 1]))
        latents = encode(pixels_of(examples), autoencoder).float().to(arguments.device)
        with_word, without = errors(model, word, latents)
        report[word] = {
            "effect in the text": round(effect(model, word), 3),
            "error with the word": round(with_word, 3),
            "error without": round(without, 3),
            "less error": round(1 - with_word / without, 3),
        }
    for word, found in sorted(report.items(), key=lambda item: item[1]["less error"]):
        print(f"{word:14}" + "  ".join(f"{name} {value:.3f}" for name, value in found.items()))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

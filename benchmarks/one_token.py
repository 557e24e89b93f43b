"""Which single token stands best for a person's keys and values, in programs that have one token a word?

    python -m benchmarks.one_token --people 2 --json benchmarks/results/one_token.json

People never seen are learned on the built-in model and rendered with what `faceid export --to a1111` can write: a token
for each stage, or one for all. Scored with ID(P), beside the person as learned. Two tokens are fitted to the pair:
"projected", whose encoded prompts come nearest to the pair's after `to_k` and `to_v`; "distilled", whose noise
predictions do, on noisy pictures of the person.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.trial import PROMPTS, person_crops, reference_likeness
from faceid_cli.attention import cross_attention_layers, split_attention
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.builtin.judge import Judge
from faceid_cli.evaluation.judges import DrawnJudge
from faceid_cli.evaluation.run import evaluate_tokens
from faceid_cli.evaluation.scores import identity_of_prompt
from faceid_cli.orders import RenderConfig, preset
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.schedulers import scheduler_for
from faceid_cli.tokens import ENCODER, encode_prompt
from faceid_cli.training import train_identity
from faceid_cli.training.initial import settled
from faceid_cli.types import IdentityTokens

TEXTS = ("a photo of <p>", "<p> on the beach", "a photo of <p> holding a ball", "<p> smiling, in a library")
STEPS, RATE = {"projected": 60, "distilled": 40}, 0.05
Loss = Callable[[Tensor, int], Tensor]


def with_tokens(keys: Tensor, values: Tensor) -> IdentityTokens:
    """Tokens of the built-in model's one text encoder."""
    return IdentityTokens({ENCODER: keys}, {ENCODER: values}, "person")


def variants(base: BaseModel, person: IdentityTokens, fits: tuple[str, ...]) -> Iterator[tuple[str, IdentityTokens]]:
    """The person as learned, and with one token in each stage or in all."""
    keys, values = person.keys[ENCODER], person.values[ENCODER]
    staged = {"keys": keys, "values": values, "mean": (keys + values) / 2}
    yield "as learned", person
    for name in (*staged, *fits):
        if name in fits:
            loss = (projected_loss if name == "projected" else distilled_loss)(base, person)
            staged[name] = torch.stack([fitted(staged["mean"][stage], stage, loss, name) for stage in range(len(keys))])
        part = staged[name]
        yield name, with_tokens(part, part)
        one = part.mean(dim=0, keepdim=True)
        yield f"{name}, one for all stages", with_tokens(one, one)


def fitted(start: Tensor, stage: int, loss: Loss, kind: str) -> Tensor:
    """A token (N, D) that lowers a loss, from the mean of the pair on."""
    token = start.clone().requires_grad_(True)
    scale = float(start.square().mean().sqrt())
    optimiser = torch.optim.Adam([token], lr=RATE * scale)
    for _ in range(STEPS[kind]):
        optimiser.zero_grad()
        torch.autograd.backward(loss(token, stage))
        optimiser.step()
    return token.detach()


def projected_loss(base: BaseModel, person: IdentityTokens) -> Loss:
    """How far texts are from the pair's after the cross-attention's projections, each layer and side alike."""
    layers = list(cross_attention_layers(base.unet).values())
    with torch.no_grad():
        pairs = [encode_prompt(base, text, {"p": person}) for text in TEXTS]

    def loss(token: Tensor, stage: int) -> Tensor:
        total = torch.zeros(())
        for text, pair in zip(TEXTS, pairs, strict=True):
            own = encode_prompt(base, text, {"p": with_tokens(token[None], token[None])}).keys[0]
            for layer in layers:
                for projection, wanted in ((layer.to_k, pair.keys[stage]), (layer.to_v, pair.values[stage])):
                    target = projection(wanted)
                    total = total + (projection(own) - target).square().mean() / target.square().mean()
        return total

    return loss


def distilled_loss(base: BaseModel, person: IdentityTokens) -> Loss:
    """How far noise predictions are from the pair's, on noisy pictures of the person, two at random a step."""
    scheduler = scheduler_for(base, "ddim")
    generator = torch.Generator().manual_seed(0)
    config = RenderConfig(steps=20)
    vae, count = base.pipeline.vae, person.stages
    latents = []
    with torch.no_grad():
        for seed, text in enumerate(TEXTS):
            image = render(base, text, {"p": person}, [seed], config)[0].image
            pixels = torch.from_numpy(np.asarray(image, dtype=np.float32)) / 127.5 - 1
            mode = vae.encode(pixels.permute(2, 0, 1)[None]).latent_dist.mode()
            latents.append(mode * float(vae.config.scaling_factor))
        pairs = [encode_prompt(base, text, {"p": person}) for text in TEXTS]

    def loss(token: Tensor, stage: int) -> Tensor:
        low = (count - 1 - stage) * base.num_train_timesteps // count
        total = torch.zeros(())
        for place in torch.randperm(len(TEXTS), generator=generator)[:2].tolist():
            time = torch.randint(low, low + base.num_train_timesteps // count, (1,), generator=generator)
            noise = torch.randn(latents[place].shape, generator=generator)
            noisy = scheduler.add_noise(latents[place], noise, time)
            own = encode_prompt(base, TEXTS[place], {"p": with_tokens(token[None], token[None])})
            wanted = torch.cat([pairs[place].keys[stage], pairs[place].values[stage]])[None]
            with split_attention(base.unet, count, own.keys.shape[1], base.num_train_timesteps):
                with torch.no_grad():
                    target = base.unet(noisy, time, encoder_hidden_states=wanted).sample
                found = base.unet(noisy, time, encoder_hidden_states=torch.cat([own.keys, own.values], dim=1)).sample
            total = total + (found - target).square().mean()
        return total

    return loss


def main() -> None:
    """Print a table, person by person, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="number of the first person")
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--fits", nargs="*", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--json", type=Path, default=None)
    said = parser.parse_args()
    base, raw = load_base_model("builtin", "cpu", "float32"), Judge.load()
    judge = DrawnJudge(raw)
    found: dict[str, list[dict[str, float]]] = {}
    for person in range(said.first, said.first + said.people):
        crops = person_crops(raw, person, said.photos, base.size_px)
        tokens, _ = train_identity(base, crops, settled(base, crops, preset("sefi")))
        likeness = reference_likeness(judge, person)
        for name, each in variants(base, tokens, tuple(said.fits)):
            pictures = evaluate_tokens(base, judge, each, likeness, PROMPTS[: said.prompts], RenderConfig())
            scores = [picture.score for picture in pictures]
            row = {
                "ID": float(np.mean([score.identity for score in scores])),
                "obeyed": float(np.mean([score.obeys for score in scores])),
                "ID(P)": identity_of_prompt(scores),
            }
            found.setdefault(name, []).append(row)
            print(f"person {person}  {name:34} " + "  ".join(f"{key} {row[key]:.3f}" for key in row), flush=True)
            if said.json is not None:
                said.json.write_text(json.dumps({"people": said.people, "rows": found}, indent=1) + "\n")
    for name, rows in found.items():
        print(
            f"mean      {name:34} " + "  ".join(f"{key} {np.mean([row[key] for row in rows]):.3f}" for key in rows[0])
        )


if __name__ == "__main__":
    main()

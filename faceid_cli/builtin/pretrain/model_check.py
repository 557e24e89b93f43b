"""Measure the packaged model with the judge: are prompts obeyed, are named people recognised?

python -m faceid_cli.builtin.pretrain.model_check MODEL --prompts 500 --output check.json
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.prompts import KnownPrompt, random_prompts
from faceid_cli.builtin.sampling import photo_picture

REFERENCE_PICTURES = 4
HELD_OUT_SEED = 77


def render(
    model: Path, texts: list[str], seed: int, batch: int = 16, steps: int = 20, guidance: float = 5.0
) -> list[Image.Image]:
    """Render each text once with stock diffusers."""
    pipeline = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32)
    pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
    pipeline.set_progress_bar_config(disable=True)
    images: list[Image.Image] = []
    for start in range(0, len(texts), batch):
        part = texts[start : start + batch]
        generators = [torch.Generator().manual_seed(seed + start + place) for place in range(len(part))]
        made = pipeline(
            part, num_inference_steps=steps, guidance_scale=guidance, guidance_rescale=0.0, generator=generators
        )
        images += made.images
    return images


def check_concepts(judge: Judge, prompts: list[KnownPrompt], images: list[Image.Image]) -> dict[str, list[bool]]:
    """Whether scene, object, attribute and number of faces are as asked for."""
    found: dict[str, list[bool]] = defaultdict(list)
    for prompt, image in zip(prompts, images, strict=True):
        faces = judge.find_faces(image)
        found["faces"].append(len(faces) == prompt.people)
        if prompt.scene:
            scenes = judge.scenes(image)
            found["scene"].append(max(scenes, key=scenes.__getitem__) == prompt.scene)
        if prompt.held:
            found["object"].append(judge.objects(image)[prompt.held] > 0.5)
        if prompt.attribute:
            found["attribute"].append(bool(faces) and judge.attributes(image, faces[0])[prompt.attribute] > 0.5)
    return found


def roster_embeddings(judge: Judge) -> np.ndarray:
    """Mean embedding of each named person over drawings that the judge has not seen, (names, E)."""
    rows = []
    for seed in range(len(roster())):
        rng = np.random.default_rng([0x5E, seed])
        drawings = [draw(photo_picture(person_from_seed(seed), rng)) for _ in range(REFERENCE_PICTURES)]
        mean = np.mean([judge.embed(drawing.image, drawing.faces[0]) for drawing in drawings], axis=0)
        rows.append(mean / np.linalg.norm(mean))
    return np.stack(rows)


def check_names(judge: Judge, model: Path, count: int) -> list[bool]:
    """Whether a named person's picture is nearest to that person among all names."""
    people = np.random.default_rng(HELD_OUT_SEED).choice(len(roster()), count, replace=False)
    images = render(model, [f"a photo of {roster()[person]}" for person in people], HELD_OUT_SEED)
    known = roster_embeddings(judge)
    right = []
    for person, image in zip(people, images, strict=True):
        faces = judge.find_faces(image)
        right.append(bool(faces) and int(np.argmax(known @ judge.embed(image, faces[0]))) == person)
    return right


def main() -> None:
    """Print and write the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--names", type=int, default=200)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    judge = Judge.load()
    prompts = random_prompts(arguments.prompts, HELD_OUT_SEED)
    rng = np.random.default_rng(HELD_OUT_SEED)
    texts = [prompt.text.format(*(str(rng.choice(roster())) for _ in range(prompt.people))) for prompt in prompts]
    found = check_concepts(judge, prompts, render(arguments.model, texts, HELD_OUT_SEED))
    found["name"] = check_names(judge, arguments.model, arguments.names)
    report: dict[str, Any] = {
        key: {"share": round(float(np.mean(right)), 4), "of": len(right)} for key, right in found.items()
    }
    print(json.dumps(report, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

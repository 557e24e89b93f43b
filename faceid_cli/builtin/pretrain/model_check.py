"""Measure the packaged model with the judge: are prompts obeyed, are named people recognised, what does the VAE lose?

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
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image

from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.prompts import KnownPrompt, random_prompts
from faceid_cli.builtin.sampling import photo_picture, random_picture
from faceid_cli.orders.sampling import BUILTIN_GUIDANCE_SCALE, BUILTIN_STEPS

REFERENCE_PICTURES = 4
HELD_OUT_SEED = 77


def render(
    model: Path,
    texts: list[str],
    seed: int,
    batch: int = 16,
    steps: int = BUILTIN_STEPS,
    guidance: float = BUILTIN_GUIDANCE_SCALE,
) -> list[Image.Image]:
    """Render each text once with stock diffusers, sampled as faceid samples the built-in model."""
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
    """Whether scene, object, attribute and number of faces are as asked for; each attribute also by itself."""
    found: dict[str, list[bool]] = defaultdict(list)
    for prompt, image in zip(prompts, images, strict=True):
        faces = judge.find_faces(image)
        found["faces"].append(len(faces) == prompt.people)
        if prompt.scene:
            scenes = judge.scenes(image)
            found["scene"].append(max(scenes, key=scenes.__getitem__) == prompt.scene)
        if prompt.held:
            number = judge.count(image, prompt.held)
            found["object"].append(number > 0)
            if number:
                found["one object, not several"].append(number == 1)
        if prompt.attribute:
            seen = bool(faces) and judge.attributes(image, faces[0])[prompt.attribute] > 0.5
            found["attribute"].append(seen)
            found[f"attribute: {prompt.attribute}"].append(seen)
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


def check_names(judge: Judge, known: np.ndarray, people: np.ndarray, images: list[Image.Image]) -> list[bool]:
    """Whether a person's picture is nearest to that person among all names."""
    right = []
    for person, image in zip(people, images, strict=True):
        faces = judge.find_faces(image)
        right.append(bool(faces) and int(np.argmax(known @ judge.embed(image, faces[0]))) == person)
    return right


def check_autoencoder(judge: Judge, known: np.ndarray, model: Path, count: int) -> dict[str, list[bool]]:
    """What is still seen of drawings that went through the autoencoder and back: the most the model can reach."""
    rng = np.random.default_rng(HELD_OUT_SEED)
    autoencoder = AutoencoderKL.from_pretrained(model, subfolder="vae", torch_dtype=torch.float32)
    size_px = autoencoder.config.sample_size
    people = rng.choice(len(roster()), count, replace=False)
    photos = [draw(photo_picture(person_from_seed(int(person)), rng), size_px).image for person in people]
    found: dict[str, list[bool]] = defaultdict(list)
    found["name"] = check_names(judge, known, people, [there_and_back(autoencoder, photo) for photo in photos])
    for person in people:
        picture = random_picture([person_from_seed(int(person))], rng)
        image = there_and_back(autoencoder, draw(picture, size_px).image)
        faces, figure = judge.find_faces(image), picture.figures[0]
        if figure.held:
            found["object"].append(judge.objects(image)[figure.held] > 0.5)
        found["attribute"] += [
            bool(faces) and judge.attributes(image, faces[0])[word] > 0.5 for word in sorted(figure.attributes)
        ]
    return found


def there_and_back(autoencoder: AutoencoderKL, image: Image.Image) -> Image.Image:
    """A picture, encoded and decoded."""
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        made = autoencoder.decode(autoencoder.encode(pixels).latent_dist.mode()).sample[0]
    levels = (made.clamp(-1, 1).permute(1, 2, 0) + 1) * 127.5
    return Image.fromarray(levels.round().byte().numpy())


def shares(found: dict[str, list[bool]]) -> dict[str, dict[str, float]]:
    """How often each was right, and of how many."""
    return {key: {"share": round(float(np.mean(right)), 4), "of": len(right)} for key, right in found.items()}


def main() -> None:
    """Print and write the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--names", type=int, default=200)
    parser.add_argument("--steps", type=int, default=BUILTIN_STEPS, help="sampler steps")
    parser.add_argument("--guidance-scale", type=float, default=BUILTIN_GUIDANCE_SCALE)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    judge = Judge.load()
    prompts = random_prompts(arguments.prompts, HELD_OUT_SEED)
    rng = np.random.default_rng(HELD_OUT_SEED)
    texts = [prompt.text.format(*(str(rng.choice(roster())) for _ in range(prompt.people))) for prompt in prompts]
    sampler = {"steps": arguments.steps, "guidance": arguments.guidance_scale}
    found = check_concepts(judge, prompts, render(arguments.model, texts, HELD_OUT_SEED, **sampler))
    known = roster_embeddings(judge)
    people = np.random.default_rng(HELD_OUT_SEED).choice(len(roster()), arguments.names, replace=False)
    names = [f"a photo of {roster()[person]}" for person in people]
    portraits = render(arguments.model, names, HELD_OUT_SEED, **sampler)
    found["name"] = check_names(judge, known, people, portraits)
    autoencoder = check_autoencoder(judge, known, arguments.model, arguments.names)
    report: dict[str, Any] = {**shares(found), "autoencoder": shares(autoencoder)}
    print(json.dumps(report, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

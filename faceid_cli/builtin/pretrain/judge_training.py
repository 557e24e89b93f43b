"""Train the judge's two networks on the drawn shards.

    python -m faceid_cli.builtin.pretrain.judge_training WORKDIR pictures --minutes 12
    python -m faceid_cli.builtin.pretrain.judge_training WORKDIR faces --minutes 12
    python -m faceid_cli.builtin.pretrain.judge_training WORKDIR package

Pictures are blurred, shrunk, recoloured and made noisy at random, so that the judge can look at soft renderings too.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from faceid_cli.builtin.draw import figure_face
from faceid_cli.builtin.judge import EMBEDDING_WIDTH, STRIDE, FaceNetwork, PictureNetwork, align, alignment
from faceid_cli.builtin.pretrain.checkpoints import Checkpoint
from faceid_cli.builtin.pretrain.pictures import Example, shard_examples, shard_file
from faceid_cli.builtin.vocabulary import ALL_SCENES, ATTRIBUTES, OBJECTS, ROSTER_SIZE
from faceid_cli.paths import builtin_judge_file

MAP_SIDE = 32
MARGIN, MARGIN_SCALE = 0.3, 24.0  # of the angular margin loss (ArcFace, arXiv 1801.07698)


@dataclass(frozen=True)
class FaceItem:
    """One face of the training set."""

    shard: int
    item: int
    matrix: np.ndarray
    person: int
    attributes: np.ndarray
    traits: np.ndarray


class Shards:
    """Pixels and truth of all drawn shards."""

    def __init__(self, work: Path) -> None:
        self.pixels: list[np.ndarray] = []
        self.examples: list[list[Example]] = []
        while shard_file(work, len(self.pixels)).exists():
            self.examples.append(shard_examples(len(self.pixels)))
            self.pixels.append(np.load(shard_file(work, len(self.pixels)), mmap_mode="r"))

    def pictures(self, places: list[tuple[int, int]]) -> Tensor:
        """Pictures (B, 3, 128, 128) in -1..1."""
        stacked = np.stack([self.pixels[shard][item] for shard, item in places])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div(127.5).sub(1)

    def random_places(self, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Random (shard, item) pairs."""
        return [(int(rng.integers(len(self.pixels))), int(rng.integers(len(self.pixels[0])))) for _ in range(count)]

    def faces(self) -> list[FaceItem]:
        """All faces."""
        return [
            FaceItem(
                shard,
                item,
                alignment(np.array(figure_face(figure).landmarks)),
                person,
                attribute_truth(figure.attributes, figure.bearded),
                figure.person.vector(),
            )
            for shard, examples in enumerate(self.examples)
            for item, example in enumerate(examples)
            for figure, person in zip(example.picture.figures, example.people, strict=True)
        ]


def attribute_truth(words: frozenset[str], bearded: bool) -> np.ndarray:
    """Which attributes are seen, float32 (attributes,)."""
    return np.array([word in words or (word == "beard" and bearded) for word in ATTRIBUTES], dtype=np.float32)


def degrade(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """One random degradation for a whole batch, of the kinds that renderings show."""
    if rng.random() < 0.35:
        sigma = float(rng.uniform(0.4, 1.3))
        taps = torch.exp(-(torch.arange(-3, 4) ** 2) / (2 * sigma**2))
        taps = (taps / taps.sum()).repeat(3, 1)
        pictures = functional.conv2d(
            functional.pad(pictures, (3, 3, 0, 0), mode="replicate"), taps.view(3, 1, 1, 7), groups=3
        )
        pictures = functional.conv2d(
            functional.pad(pictures, (0, 0, 3, 3), mode="replicate"), taps.view(3, 1, 7, 1), groups=3
        )
    elif rng.random() < 0.3:
        side = pictures.shape[-1]
        small = functional.interpolate(pictures, size=int(side * rng.uniform(0.45, 0.8)), mode="area")
        pictures = functional.interpolate(small, size=side, mode="bilinear")
    if rng.random() < 0.5:
        tint = torch.from_numpy(rng.normal(0, 0.06, (len(pictures), 3, 1, 1))).float()
        gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(pictures), 1, 1, 1))).float()
        pictures = pictures * gain + tint
    if rng.random() < 0.4:
        pictures = pictures + float(rng.uniform(0.01, 0.08)) * torch.randn_like(pictures)
    return pictures.clamp(-1, 1)


def face_targets(examples: list[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Peak map (B, 32, 32), values (B, 14, 32, 32), and where the values count (B, 1, 32, 32)."""
    peaks = np.zeros((len(examples), MAP_SIDE, MAP_SIDE), np.float32)
    values = np.zeros((len(examples), 14, MAP_SIDE, MAP_SIDE), np.float32)
    counts = np.zeros((len(examples), 1, MAP_SIDE, MAP_SIDE), np.float32)
    rows, columns = np.mgrid[0:MAP_SIDE, 0:MAP_SIDE]
    for place, example in enumerate(examples):
        for figure in example.picture.figures:
            face = figure_face(figure)
            x, y = face.box.center
            column, row = (int(np.clip(value / STRIDE, 0, MAP_SIDE - 1)) for value in (x, y))
            spread = face.box.width / STRIDE / 6
            blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * spread**2))
            peaks[place] = np.maximum(peaks[place], blob)
            for r in range(max(row - 1, 0), min(row + 2, MAP_SIDE)):
                for c in range(max(column - 1, 0), min(column + 2, MAP_SIDE)):
                    offset = [x / STRIDE - c - 0.5, y / STRIDE - r - 0.5]
                    size = [np.log(face.box.width / 32), np.log(face.box.height / 32)]
                    points = [value for px, py in face.landmarks for value in ((px - x) / 32, (py - y) / 32)]
                    values[place, :, r, c] = offset + size + points
                    counts[place, 0, r, c] = 1
    return torch.from_numpy(peaks), torch.from_numpy(values), torch.from_numpy(counts)


def picture_loss(network: PictureNetwork, pictures: Tensor, examples: list[Example]) -> Tensor:
    """Faces (focal loss and L1), scene (cross-entropy) and objects (binary cross-entropy)."""
    peaks, values, counts = face_targets(examples)
    with torch.autocast("cpu", torch.bfloat16):
        found, scenes, objects = network(pictures)
    found, scenes, objects = found.float(), scenes.float(), objects.float()
    chance = found[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
    hit = (1 - chance) ** 2 * chance.log() * (peaks == 1)
    miss = (1 - peaks) ** 4 * chance**2 * (1 - chance).log() * (peaks < 1)
    number = sum(len(example.people) for example in examples)
    place = ((found[:, 1:] - values).abs() * counts).sum() / counts.sum()
    scene = torch.tensor([ALL_SCENES.index(example.picture.scene) for example in examples])
    things = torch.tensor([[float(word in things_of(example)) for word in OBJECTS] for example in examples])
    return (
        -(hit + miss).sum() / number
        + place
        + functional.cross_entropy(scenes, scene)
        + 4 * functional.binary_cross_entropy_with_logits(objects, things)
    )


def things_of(example: Example) -> set[str | None]:
    """Objects that the picture shows."""
    return {example.picture.shared, *(figure.held for figure in example.picture.figures)}


def face_loss(network: FaceNetwork, classes: nn.Parameter, faces: Tensor, items: list[FaceItem]) -> Tensor:
    """Angular margin over the named people; traits and attributes of everybody."""
    with torch.autocast("cpu", torch.bfloat16):
        embeddings, attributes = network(faces)
        traits = network.traits(embeddings)
    people = torch.tensor([item.person for item in items])
    known = people < ROSTER_SIZE
    cosine = functional.normalize(embeddings.float()[known]) @ functional.normalize(classes).T
    angle = torch.acos(cosine.clamp(-1 + 1e-5, 1 - 1e-5))
    own = functional.one_hot(people[known], ROSTER_SIZE).bool()
    logits = MARGIN_SCALE * torch.where(own, torch.cos(angle + MARGIN), cosine)
    truth = torch.from_numpy(np.stack([item.attributes for item in items]))
    wanted = torch.from_numpy(np.stack([item.traits for item in items]))
    return (
        functional.cross_entropy(logits, people[known])
        + 4 * functional.binary_cross_entropy_with_logits(attributes.float(), truth)
        + 4 * functional.mse_loss(traits.float(), wanted)
    )


def jittered(items: list[FaceItem], rng: np.random.Generator) -> Tensor:
    """Alignment matrices (B, 2, 3), each a little off."""
    matrices = np.stack([item.matrix for item in items])
    angle, zoom = rng.normal(0, 0.04, len(items)), np.exp(rng.normal(0, 0.05, len(items)))
    turn = np.stack([np.stack([np.cos(angle), -np.sin(angle)], -1), np.stack([np.sin(angle), np.cos(angle)], -1)], 1)
    turn = turn * zoom[:, None, None]
    middle = np.array([32.0, 36.0])
    shift = middle - turn @ middle + rng.normal(0, 0.8, (len(items), 2))
    moved = np.concatenate([matrices[:, :, :2] @ turn, matrices[:, :, :2] @ shift[:, :, None] + matrices[:, :, 2:]], -1)
    return torch.from_numpy(moved).float()


def train(work: Path, what: str, minutes: float) -> None:
    """Train one of the networks for some minutes more; the learning rate falls to zero over them."""
    shards, network = Shards(work), PictureNetwork() if what == "pictures" else FaceNetwork()
    network.to(memory_format=torch.channels_last)
    classes = nn.Embedding(ROSTER_SIZE, EMBEDDING_WIDTH)
    optimizer = torch.optim.AdamW([*network.parameters(), *classes.parameters()], lr=2e-3, weight_decay=0.02)
    checkpoint = Checkpoint(work / f"judge-{what}", {"network": network, "classes": classes}, optimizer)
    first = step = checkpoint.load()
    rng = np.random.default_rng([31, step])
    torch.manual_seed(step)
    items = shards.faces() if what == "faces" else []
    started, saved, running = time.time(), time.time(), 0.0
    while (share := (time.time() - started) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step - first + 1) / 100) * (1 - share) + 1e-5
        if what == "pictures":
            places = shards.random_places(24, rng)
            pictures = degrade(shards.pictures(places), rng).contiguous(memory_format=torch.channels_last)
            loss = picture_loss(network, pictures, [shards.examples[s][i] for s, i in places])  # type: ignore[arg-type]
        else:
            chosen = [items[i] for i in rng.integers(len(items), size=64)]
            pictures = degrade(shards.pictures([(item.shard, item.item) for item in chosen]), rng)
            faces = align(pictures, jittered(chosen, rng)).contiguous(memory_format=torch.channels_last)
            loss = face_loss(network, classes.weight, faces, chosen)  # type: ignore[arg-type]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        running = loss.item() if running == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step} loss {running:.4f}, {(step - first) / (time.time() - started):.2f} steps/s", flush=True)
        if time.time() - saved > 90:
            checkpoint.save(step)
            saved = time.time()
    checkpoint.save(step)


def package(work: Path) -> Path:
    """Write the shipped file, float16."""
    tensors = {}
    for what in ("pictures", "faces"):
        for name, tensor in load_file(work / f"judge-{what}" / "network.safetensors").items():
            if not name.endswith("num_batches_tracked"):
                tensors[f"{what}.{name}"] = tensor.half()
    save_file(tensors, builtin_judge_file())
    return builtin_judge_file()


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("what", choices=("pictures", "faces", "package"))
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.what == "package":
        print(package(arguments.work))
    else:
        train(arguments.work, arguments.what, arguments.minutes)


if __name__ == "__main__":
    main()

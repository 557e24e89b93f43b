"""Train the judge's two networks on the drawn shards.

    python -m faceid_cli.builtin.pretrain.judge_training WORKDIR pictures --minutes 12
    python -m faceid_cli.builtin.pretrain.judge_training WORKDIR faces --minutes 12
    python -m faceid_cli.builtin.pretrain.judge_training WORKDIR package

Each goes on from its checkpoint. Pictures are made soft, noisy and tinted at random, so that renderings can be judged.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from faceid_cli.builtin.judge import EMBEDDING_WIDTH, PICTURE_PX, STRIDE, FaceNetwork, PictureNetwork, align
from faceid_cli.builtin.people import TRAITS, person_from_seed
from faceid_cli.builtin.pretrain.checkpoints import Checkpoint
from faceid_cli.builtin.pretrain.judge_data import NONE, Shards, Truth, degrade, jittered, zoom
from faceid_cli.builtin.vocabulary import OBJECTS, ROSTER_SIZE
from faceid_cli.kept.paths import builtin_judge_file

MAP_SIDE = PICTURE_PX // STRIDE
MARGIN, MARGIN_SCALE = 0.2, 20.0  # additive cosine margin (CosFace, arXiv 1801.09414)
LEARNING_RATE = 2e-3


class Prototypes(nn.Module):
    """Where in the space of embeddings a person belongs, from their traits: one for everybody, also for strangers.

    A free class vector for each person, as in ArcFace, would need many pictures of each; this one learns from all
    people how far each trait sets two of them apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(TRAITS, 192), nn.ReLU(), nn.Linear(192, EMBEDDING_WIDTH))

    def forward(self, traits: Tensor) -> Tensor:
        """(B, TRAITS) -> unit vectors (B, E)."""
        return functional.normalize(self.layers(traits))


def map_targets(truth: Truth) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Maps of M x M cells: face peaks (B, 1, M, M), values (B, 14, M, M), where they count, and object peaks."""
    count = len(truth.scenes)
    peaks = np.zeros((count, 1, MAP_SIDE, MAP_SIDE), np.float32)
    values = np.zeros((count, 14, MAP_SIDE, MAP_SIDE), np.float32)
    counts = np.zeros((count, 1, MAP_SIDE, MAP_SIDE), np.float32)
    things = np.zeros((count, len(OBJECTS), MAP_SIDE, MAP_SIDE), np.float32)
    for place, number in np.argwhere(truth.people != NONE):
        center, size = truth.points[place, number, 0], truth.sizes[place, number]
        bump, near = _peak(center, float(size[0]) / STRIDE / 6)
        peaks[place, 0] = np.maximum(peaks[place, 0], bump)
        landmarks = (truth.points[place, number, 1:] - center).reshape(10) / 32
        fixed = np.concatenate([np.log(size / 32), landmarks])[:, None, None]
        rows, columns = np.mgrid[0:MAP_SIDE, 0:MAP_SIDE] + 0.5
        offsets = np.stack([center[0] / STRIDE - columns, center[1] / STRIDE - rows])
        own = np.concatenate([offsets, np.broadcast_to(fixed, (12, *near.shape))])
        values[place] = np.where(near, own, values[place])
        counts[place, 0] = np.maximum(counts[place, 0], near)
    for place in np.flatnonzero(truth.objects != NONE):
        things[place, truth.objects[place]] = _peak(truth.object_places[place], 0.6)[0]
    return torch.from_numpy(peaks), torch.from_numpy(values), torch.from_numpy(counts), torch.from_numpy(things)


def _peak(center: NDArray[np.float32], spread: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A bump (M, M) that is 1 in the cell of a centre (pixels), and the 3 x 3 cells around it."""
    column, row = (int(np.clip(value / STRIDE, 0, MAP_SIDE - 1)) for value in center)
    rows, columns = np.mgrid[0:MAP_SIDE, 0:MAP_SIDE]
    bump = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * max(spread, 0.35) ** 2))
    return bump.astype(np.float32), (abs(rows - row) <= 1) & (abs(columns - column) <= 1)


def peak_loss(logits: Tensor, peaks: Tensor, known: Tensor) -> Tensor:
    """Focal loss of maps of peaks, CenterNet's, per peak; `known` (B, 1, 1, 1) is 0 for pictures that do not count."""
    chance = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    hit = (1 - chance) ** 2 * chance.log() * (peaks == 1)
    miss = (1 - peaks) ** 4 * chance**2 * (1 - chance).log() * (peaks < 1)
    return -((hit + miss) * known).sum() / (peaks == 1).sum().clamp(min=1)


def picture_loss(network: PictureNetwork, pictures: Tensor, truth: Truth) -> Tensor:
    """Faces and objects (focal loss, L1, binary cross-entropy) and scene (cross-entropy)."""
    peaks, values, counts, things = map_targets(truth)
    with torch.autocast("cpu", torch.bfloat16):
        found, scenes, objects = network(pictures)
    found, scenes, objects = found.float(), scenes.float(), objects.float()
    inside = ((truth.object_places > 6) & (truth.object_places < PICTURE_PX - 6)).all(-1) | (truth.objects == NONE)
    known = torch.from_numpy(inside.astype(np.float32)).view(-1, 1, 1, 1)
    seen = things.amax((2, 3))
    presence = functional.binary_cross_entropy_with_logits(objects.amax((2, 3)), (seen == 1).float(), reduction="none")
    return (
        peak_loss(found[:, :1], peaks, torch.ones(1))
        + 2 * ((found[:, 1:] - values).abs() * counts).sum() / counts.sum().clamp(min=1) / 4
        + peak_loss(objects, things, known)
        + (presence * known[:, :, 0, 0]).sum(1).mean()
        + functional.cross_entropy(scenes, torch.from_numpy(truth.scenes))
    )


def face_loss(
    network: FaceNetwork, prototypes: Prototypes, roster: Tensor, faces: Tensor, truth: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """Identity among all of the roster and the batch, with a margin; traits and attributes.

    Args:
        network: The judge's network of faces; it takes gradients.
        prototypes: Makes a person's place among the embeddings from their traits; it takes gradients, too.
        roster: Traits of everybody with a name, (ROSTER_SIZE, TRAITS).
        faces: (B, 3, 64, 64).
        truth: People (B,), traits (B, TRAITS), attributes (B, attributes).
    """
    people, traits, attributes = truth
    with torch.autocast("cpu", torch.bfloat16):
        embeddings, logits = network(faces)
        read = network.traits(embeddings)
    everybody = prototypes(torch.cat([roster, traits]))
    cosine = functional.normalize(embeddings.float()) @ everybody.T
    named = people < ROSTER_SIZE
    own = torch.where(named, people, ROSTER_SIZE + torch.arange(len(people)))
    # A named person's second prototype, in the batch, is no other person.
    same = torch.cat([torch.zeros(len(people), ROSTER_SIZE, dtype=torch.bool), people[:, None] == people[None]], dim=1)
    cosine = cosine.masked_fill(same & (torch.arange(len(everybody)) != own[:, None]), -1.0)
    cosine = cosine - MARGIN * functional.one_hot(own, len(everybody))
    return (
        functional.cross_entropy(MARGIN_SCALE * cosine, own)
        + 8 * functional.binary_cross_entropy_with_logits(logits.float(), attributes)
        + 4 * functional.mse_loss(read.float(), traits)
    )


def train(work: Path, what: str, minutes: float) -> None:
    """Train one of the networks for some minutes more; the learning rate falls to zero over them."""
    shards = Shards(work)
    network = PictureNetwork() if what == "pictures" else FaceNetwork()
    network.to(memory_format=torch.channels_last)
    prototypes = Prototypes()
    optimizer = torch.optim.AdamW(
        [*network.parameters(), *prototypes.parameters()], lr=LEARNING_RATE, weight_decay=0.02
    )
    checkpoint = Checkpoint(work / f"judge-{what}", {"network": network, "prototypes": prototypes}, optimizer)
    first = step = checkpoint.load()
    rng = np.random.default_rng([31, step])
    torch.manual_seed(step)
    places, truth = shards.faces(), shards.truth
    roster = torch.from_numpy(np.stack([person_from_seed(seed).vector() for seed in range(ROSTER_SIZE)]))
    started = saved = time.time()
    running = 0.0
    while (share := (time.time() - started) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step - first + 1) / 100) * 0.5 * (1 + np.cos(np.pi * share)) + 1e-5
        if what == "pictures":
            chosen = rng.integers(shards.count, size=24)
            pictures, shown = shards.pictures(chosen), truth.pick(chosen)
            if rng.random() < 0.4:
                pictures, shown = zoom(pictures, shown, rng)
            pictures = degrade(pictures, rng).contiguous(memory_format=torch.channels_last)
            loss = picture_loss(network, pictures, shown)  # type: ignore[arg-type]
        else:
            rows, numbers = places[rng.integers(len(places), size=64)].T
            matrices = jittered(truth.points[rows, numbers, 1:], rng)
            faces = degrade(align(shards.pictures(rows), matrices), rng).contiguous(memory_format=torch.channels_last)
            wanted = [torch.from_numpy(part[rows, numbers]) for part in (truth.people, truth.traits, truth.attributes)]
            loss = face_loss(network, prototypes, roster, faces, (wanted[0], wanted[1], wanted[2]))  # type: ignore[arg-type]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        step += 1
        running = loss.item() if running == 0 else 0.97 * running + 0.03 * loss.item()
        if step % 50 == 0:
            print(f"step {step} loss {running:.4f}, {(step - first) / (time.time() - started):.2f} steps/s", flush=True)
        if time.time() - saved > 60:
            checkpoint.save(step)
            saved = time.time()
    checkpoint.save(step)


def package(work: Path, output: Path) -> None:
    """Write the shipped file, float16, without what only training needs."""
    tensors = {}
    for what in ("pictures", "faces"):
        for name, tensor in load_file(work / f"judge-{what}" / "network.safetensors").items():
            if not name.endswith("num_batches_tracked"):
                tensors[f"{what}.{name}"] = tensor.half()
    save_file(tensors, output)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("what", choices=("pictures", "faces", "package"))
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=builtin_judge_file(), help="where `package` writes the judge")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.what == "package":
        package(arguments.work, arguments.output)
        print(arguments.output)
    else:
        train(arguments.work, arguments.what, arguments.minutes)


if __name__ == "__main__":
    main()

"""Time and memory of the real families at their true sizes, with random weights, beside diffusers' own way.

    python benchmarks/checkpoints.py --family sd1 --device cpu
    python benchmarks/checkpoints.py --family sdxl --device cuda --batch 4

Compared are a training step of faceid with one in the manner of diffusers' textual_inversion.py (the pictures through
the VAE each step, the whole embedding table in the optimiser), and a picture by faceid with one by the stock pipeline.

Times are taken in one process, on the same loaded weights, in turns: what else the machine does hits both
alike. On the CPU the seconds that the processor worked are compared: other programs may hold it meanwhile. Peaks
of memory are taken in a process each. Results are kept in `results/checkpoints.json`, by family, device and batch.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.checkpoint_models import SIZES, build

RESULTS = Path(__file__).parent / "results" / "checkpoints.json"
MEMORY = ("faceid-train", "stock-train", "faceid-train-low-vram")
PARTS = ("train-time", *MEMORY, "render-time")
PROMPT = "a photo of person, eiffel tower"
Clock = tuple[float, float]
"""Seconds by the wall, and seconds that the processor worked for this process."""


def clock(device: torch.device) -> Clock:
    """Read both clocks, when the GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter(), time.process_time()


def train_in_turns(base: Any, rounds: int, size: int, batch: int) -> dict[str, list[Clock]]:
    """Steps of faceid, with the method's own settings, and of the stock way, in turns."""
    stock = stock_steps(base, size, batch)
    ours, theirs, started = [], [], [clock(base.device)]

    def other_side(step: int, tokens: Any) -> None:
        if step < rounds:
            before = clock(base.device)
            next(stock)
            theirs.append(since(before, base.device))
        started[0] = clock(base.device)

    faceid_train(base, rounds, size, batch, lambda _: ours.append(since(started[0], base.device)), other_side)
    return {"faceid": ours, "stock": theirs}


def faceid_train(base: Any, steps: int, size: int, batch: int, on_step: Any = None, on_preview: Any = None) -> None:
    """An enrolment with the method's own settings."""
    from faceid_cli.orders import TrainConfig
    from faceid_cli.training import train_identity
    from faceid_cli.types import FaceCrop

    crops = [FaceCrop(picture(size), None, "0" * 64, Path("picture.png"))]
    config = TrainConfig(steps=steps, batch_size=batch)
    train_identity(base, crops, config, on_step=on_step, preview_every=1 if on_preview else 0, on_preview=on_preview)


def stock_steps(base: Any, size: int, batch: int) -> Iterator[None]:
    """Steps of textual inversion as diffusers' example does them."""
    pipeline, device = base.pipeline, base.device
    tables = [encoder.module.get_input_embeddings().weight for encoder in base.encoders]
    optimizer = torch.optim.AdamW(tables, lr=5e-4)
    pixels = torch.from_numpy(np.asarray(picture(size), dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)
    pixels = pixels.expand(batch, -1, -1, -1).to(device, base.dtype)
    kept = [table.detach().clone() for table in tables]
    for table in tables:  # the optimiser's state is there from the first step on
        table.grad = torch.zeros_like(table)
    optimizer.step()
    optimizer.zero_grad()
    while True:
        for table in tables:
            table.requires_grad_(True)
        with torch.no_grad():
            latents = pipeline.vae.encode(pixels).latent_dist.sample() * pipeline.vae.config.scaling_factor
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, 1000, (batch,), device=device)
        noisy = pipeline.scheduler.add_noise(latents, noise, timesteps)
        target = (
            noise if base.prediction_type == "epsilon" else pipeline.scheduler.get_velocity(latents, noise, timesteps)
        )
        hidden, added = stock_text(base, size, batch)
        prediction = base.unet(noisy, timesteps, hidden, **added).sample
        torch.autograd.backward(torch.nn.functional.mse_loss(prediction.float(), target.float()))
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():  # all rows but one are put back, and that one is of no word of any prompt
            for table, before in zip(tables, kept, strict=True):
                table[1:] = before[1:]
                table.requires_grad_(False)
        yield


def stock_text(base: Any, size: int, batch: int) -> tuple[torch.Tensor, dict[str, Any]]:
    """The prompt as the UNet wants it, with gradients to the embedding tables."""
    hidden, pooled = [], None
    for encoder in base.encoders:
        ids = encoder.tokenizer(PROMPT, padding="max_length", max_length=encoder.window, return_tensors="pt").input_ids
        ids = ids.expand(batch, -1).to(base.device)
        if base.family != "sdxl":
            return encoder.module(ids)[0], {}
        output = encoder.module(ids, output_hidden_states=True)
        hidden.append(output.hidden_states[-2])
        pooled = output[0]
    added = {"text_embeds": pooled, "time_ids": base.time_ids(size, size).expand(batch, -1)}
    return torch.cat(hidden, dim=-1), {"added_cond_kwargs": added}


def render_in_turns(base: Any, rounds: int, size: int, steps: int) -> dict[str, list[Clock]]:
    """Pictures of a person with five stages and separate keys and values, and of the stock pipeline, in turns."""
    from faceid_cli.orders import RenderConfig
    from faceid_cli.rendering.generate import render
    from faceid_cli.tokens import class_embedding
    from faceid_cli.types import IdentityTokens

    keys, values = (
        {each.name: scale * class_embedding(base, "person", each).expand(5, 1, -1).cpu() for each in base.encoders}
        for scale in (1.0, 1.1)
    )

    def ours(size: int, steps: int) -> None:
        config = RenderConfig(steps=steps, width=size, height=size)
        render(base, "a photo of <al>, eiffel tower", {"al": IdentityTokens(keys, values)}, [1], config)

    def theirs(size: int, steps: int) -> None:
        base.pipeline(PROMPT, num_inference_steps=steps, guidance_scale=5.0, width=size, height=size)

    for work in (ours, theirs):
        work(size, 1)  # what is done only once for pictures of that size, whoever comes first
    seconds: dict[str, list[Clock]] = {"faceid": [], "stock": []}
    sides = [("faceid", ours), ("stock", theirs)]
    for place in range(rounds):
        for name, work in sides if place % 2 == 0 else reversed(sides):  # who comes first may gain or lose by it
            seconds[name].append(took(base.device, partial(work, size, steps)))
    return seconds


def took(device: torch.device, work: Callable[[], None]) -> Clock:
    """How long the work takes."""
    before = clock(device)
    work()
    return since(before, device)


def since(before: Clock, device: torch.device) -> Clock:
    """How long ago that was."""
    now = clock(device)
    return now[0] - before[0], now[1] - before[1]


def picture(size: int) -> Image.Image:
    """A picture of noise."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def peak_gb(device: torch.device) -> float:
    """The most memory that was taken: of the GPU, else of this process, its mapped files included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def run_part(part: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one part in this process."""
    from faceid_cli.backbone import load_base_model
    from faceid_cli.orders import ModelOptions

    options = ModelOptions(low_vram=part.endswith("low-vram"))
    base = load_base_model(str(arguments.folder), arguments.device, arguments.precision, options)
    size, rounds = arguments.size or base.size_px, arguments.rounds
    if size != base.size_px:  # crops are as large as the model wants them
        base.unet.register_to_config(sample_size=size // base.pipeline.vae_scale_factor)
    found: dict[str, Any] = {"size_px": size, "dtype": str(base.dtype).removeprefix("torch.")}
    if part in MEMORY:
        if part == "stock-train":
            next(stock_steps(base, size, arguments.batch))
        else:
            faceid_train(base, 1, size, arguments.batch)
        return {**found, "peak_gb": round(peak_gb(base.device), 3)}
    small = min(size, 64)
    base.pipeline(PROMPT, num_inference_steps=1, width=small, height=small)  # reads all weights
    if part == "train-time":
        seconds = train_in_turns(base, rounds, size, arguments.batch)
    else:
        seconds = render_in_turns(base, rounds, size, arguments.steps)
        found["sampler_steps"] = arguments.steps
    which = 0 if base.device.type == "cuda" else 1  # clock
    for name, each in seconds.items():
        found[f"{name}_wall_seconds"] = [round(wall, 3) for wall, _ in each]
        found[f"{name}_cpu_seconds"] = [round(cpu, 3) for _, cpu in each]
    ours, theirs = (median(each[which] for each in seconds[name]) for name in ("faceid", "stock"))
    return {**found, "compared": ("wall", "cpu")[which], "time_ratio": round(ours / theirs, 4)}


def machine(device: str) -> dict[str, Any]:
    """What it was run on."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else "",
        "torch": torch.__version__,
    }


def keep(path: Path, key: str, part: str, found: dict[str, Any], device: str) -> None:
    """Put a result to the others in the file."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    entry = content.setdefault(key, {})
    entry[part] = {**found, **machine(device)}
    ours = entry.get("faceid-train", {}).get("peak_gb")
    theirs = entry.get("stock-train", {}).get("peak_gb")
    if ours and theirs:
        entry["train_memory_ratio"] = round(ours / theirs, 4)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Measure all parts, each in its own process; print one JSON line for each, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", choices=SIZES, default="sd1")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--size", type=int, help="pixels; the family's own by default")
    parser.add_argument("--batch", type=int, default=1, help="pictures in a training step")
    parser.add_argument("--steps", type=int, default=5, help="sampler steps of a picture")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is timed")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, help="where the model is, or is to be kept")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        print(json.dumps(run_part(arguments.parts[0], arguments)))
        return
    with TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "model"
        if not (folder / "model_index.json").is_file():
            build(arguments.family, folder, torch.float32 if arguments.device == "cpu" else torch.bfloat16)
        key = f"{arguments.family} {arguments.device} batch {arguments.batch}"
        for part in arguments.parts:
            own = [*without_parts(sys.argv[1:]), "--folder", str(folder), "--parts", part, "--in-process"]
            done = subprocess.run([sys.executable, __file__, *own], capture_output=True, text=True, check=False)
            if done.returncode:
                reason = done.stderr.strip().splitlines()
                print(json.dumps({"part": part, "error": reason[-1][:300] if reason else done.returncode}), flush=True)
                continue
            found = json.loads(done.stdout.strip().splitlines()[-1])
            print(json.dumps({"run": key, "part": part, **found}), flush=True)
            keep(arguments.results, key, part, found, arguments.device)


def without_parts(arguments: list[str]) -> list[str]:
    """The command line without `--parts` and what follows it."""
    kept, inside = [], False
    for argument in arguments:
        inside = argument == "--parts" or (inside and not argument.startswith("--"))
        if not inside:
            kept.append(argument)
    return kept


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()

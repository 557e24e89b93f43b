"""Many prompts for one person: `faceid batch` beside a plain loop of diffusers, and beside a shell's loop.

    python -m benchmarks.batch --prompts 200                    # the built-in model; about half an hour on one core
    python -m benchmarks.batch --prompts 24 --shell 2           # a quick look
    python -m benchmarks.batch --model FOLDER --prompts 24      # another base model, a diffusers folder
    python -m benchmarks.batch --family sd1 --size 256 --steps 4 --prompts 8 --turn 2   # true size, random weights
    python -m benchmarks.batch --memory 2000                    # whether memory grows with the pictures; small ones

Both render the same prompts with the same steps, size and guidance in one process, in turns of a few prompts, so that
whatever else the machine does disturbs both alike. What a turn costs is the processor's time, and the time on the
clock; the ratio is that of the sums, with the lowest and the highest turn beside it. The plain loop is the stock
pipeline of the same base model, one prompt a call, each picture saved as a PNG file; it renders nobody whom it was
taught, so that faceid's five stages of keys and values are extra work that only ours does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline

import faceid_cli
from benchmarks.checkpoint_models import SIZES, build
from faceid_cli.api.batch import plan_batch, run_batch, split_options
from faceid_cli.api.loaded import Loaded
from faceid_cli.api.wanted import Outcome
from faceid_cli.backbone.peak import Peak
from faceid_cli.builtin.words import DRAWS
from faceid_cli.model_files import model_path
from faceid_cli.orders.sampling import USUAL
from faceid_cli.types import BUILTIN


@dataclass(frozen=True)
class Cost:
    """Seconds of the processor, and on the clock."""

    processor: float
    clock: float


def prompts_of(count: int) -> list[str]:
    """Different prompts of what the built-in model can draw."""
    kinds = [list(words) for words in DRAWS.values()]
    return [
        ", ".join(words[(number // (place + 1) + place) % len(words)] for place, words in enumerate(kinds[:3]))
        for number in range(count)
    ]


@contextmanager
def own_home() -> Iterator[Path]:
    """A registry for this run alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FACEID_HOME"] = str(Path(folder) / "home")
        yield Path(folder)


def measured(work: Callable[[], None]) -> Cost:
    """What a piece of work costs, in all of the process's threads."""
    processor, clock = time.process_time(), time.perf_counter()
    work()
    return Cost(time.process_time() - processor, time.perf_counter() - clock)


def plain_loop(pipeline: Any, prompts: list[str], seeds: range, folder: Path, size: int, steps: int) -> None:
    """What somebody writes who has a list of prompts and diffusers."""
    for seed, prompt in zip(seeds, prompts, strict=True):
        image = pipeline(
            f"a photo of a person, {prompt}",
            num_inference_steps=steps,
            guidance_scale=USUAL["guidance_scale"],
            width=size,
            height=size,
            generator=torch.Generator("cpu").manual_seed(seed),
        ).images[0]
        image.save(folder / f"{seed:05d}.png")


def batch(loaded: Loaded, prompts: list[str], seeds: range, folder: Path, size: int, steps: int) -> None:
    """The same with faceid, of an enrolled person."""
    rows = [{"prompt": prompt, "seed": seed} for prompt, seed in zip(prompts, seeds, strict=True)]
    alike = USUAL | {"steps": steps, "width": size, "height": size, "device": "cpu"}
    order, common = split_options({"people": (("alice",),), **alike})
    outcomes: list[str] = []
    run_batch(plan_batch(rows, order, common, folder), lambda each: outcomes.append(each.status), loaded=loaded)
    assert outcomes == ["rendered"] * len(prompts), outcomes


def shell_loop(prompts: list[str], folder: Path) -> Cost:
    """`faceid generate` once for each prompt, as a script does it."""
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for prompt in prompts:
        command = [sys.executable, "-m", "faceid_cli", "generate", "alice", prompt, "-o", str(folder), "-q"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - clock)


def compare(
    model: str, prompts: list[str], turn: int, shell: int, folder: Path, size: int | None, steps: int
) -> dict[str, Any]:
    """Render everything, and return seconds a picture, and ratios."""
    faceid_cli.draw_samples(folder / "photos", count=2)
    # Others would want weights of a face detector, which drawings do not need.
    learning: dict[str, Any] = {} if model == BUILTIN else {"detect": False, "batch_size": 1}
    faceid_cli.enroll("alice", [folder / "photos"], model=model, steps=2, device="cpu", **learning)
    pipeline = StableDiffusionPipeline.from_pretrained(model_path(model), torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    loaded = Loaded(lambda line: None)
    size = size or int(pipeline.unet.config.sample_size * pipeline.vae_scale_factor)
    for name in ("warm", "plain", "batch", "shell"):
        (folder / name).mkdir()
    plain_loop(pipeline, prompts[:1], range(1), folder / "warm", size, 1)
    batch(loaded, prompts[:1], range(1), folder / "warm", size, 1)
    ours: list[Cost] = []
    theirs: list[Cost] = []
    for start in range(0, len(prompts), turn):
        chosen, seeds = prompts[start : start + turn], range(start, min(start + turn, len(prompts)))

        def render_plain(chosen: list[str] = chosen, seeds: range = seeds) -> None:
            plain_loop(pipeline, chosen, seeds, folder / "plain", size, steps)

        def render_batch(chosen: list[str] = chosen, seeds: range = seeds) -> None:
            batch(loaded, chosen, seeds, folder / "batch", size, steps)

        turns = [(theirs, render_plain), (ours, render_batch)]
        for costs, work in turns if (start // turn) % 2 else reversed(turns):  # neither is always the first
            costs.append(measured(work))
    found = {
        "model": model,
        "size": size,
        "prompts": len(prompts),
        "steps": steps,
        "threads": torch.get_num_threads(),
        "batch": seconds(ours, len(prompts)),
        "plain": seconds(theirs, len(prompts)),
        "ratio": ratios(theirs, ours),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    if shell:
        found["shell"] = seconds([shell_loop(prompts[:shell], folder / "shell")], shell)
    return found


def memory(pictures: int, folder: Path) -> dict[str, Any]:
    """Megabytes that this process holds after a tenth of many small pictures, and after each further tenth."""
    faceid_cli.draw_samples(folder / "photos", count=2)
    faceid_cli.enroll("alice", [folder / "photos"], steps=2, device="cpu")
    small = {"people": (("alice",),), "width": 64, "height": 64, "steps": 1, "batch_size": 8, "device": "cpu"}
    order, common = split_options(small)
    rows = [{"prompt": prompt, "seed": seed} for seed, prompt in enumerate(prompts_of(pictures))]
    peak, done, held = Peak(torch.device("cpu")), 0, list[float]()

    def count(outcome: Outcome) -> None:
        nonlocal done
        assert outcome.status == "rendered", outcome
        done += 1
        if done % max(pictures // 10, 1) == 0:
            held.append(round(peak.now / 1e6, 1))

    run_batch(plan_batch(rows, order, common, folder / "pictures"), count)
    return {"pictures": pictures, "megabytes_after_each_tenth": held}


def seconds(costs: list[Cost], pictures: int) -> dict[str, float]:
    """Seconds a picture."""
    return {
        "processor": round(sum(each.processor for each in costs) / pictures, 3),
        "clock": round(sum(each.clock for each in costs) / pictures, 3),
    }


def ratios(theirs: list[Cost], ours: list[Cost]) -> dict[str, float]:
    """How many times faster ours is: by sums, and the lowest and highest turn by the processor's time."""
    turns = [plain.processor / batch.processor for plain, batch in zip(theirs, ours, strict=True)]
    return {
        "processor": round(sum(each.processor for each in theirs) / sum(each.processor for each in ours), 2),
        "clock": round(sum(each.clock for each in theirs) / sum(each.clock for each in ours), 2),
        "lowest": round(min(turns), 2),
        "highest": round(max(turns), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="builtin", help="base model: builtin, or a diffusers folder")
    parser.add_argument("--family", choices=list(SIZES), help="in its place one of true size, with random weights")
    parser.add_argument("--size", type=int, help="pixels; the base model's own by default")
    parser.add_argument("--steps", type=int, default=USUAL["steps"], help="sampler steps")
    parser.add_argument("--prompts", type=int, default=200, help="how many different prompts")
    parser.add_argument("--turn", type=int, default=8, help="prompts in a turn")
    parser.add_argument("--shell", type=int, default=0, help="prompts for the shell's loop, 0 for none")
    parser.add_argument("--memory", type=int, metavar="N", help="look at the memory of so many pictures, and no more")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    given = parser.parse_args()
    with own_home() as folder:
        if given.memory:
            found = memory(given.memory, folder)
        else:
            model = given.model
            if given.family:
                model = str(folder / given.family)
                build(given.family, Path(model), torch.float32)
            prompts = prompts_of(given.prompts)
            found = compare(model, prompts, given.turn, given.shell, folder, given.size, given.steps)
            found["model"] = given.family or given.model
    text = json.dumps(found, indent=2)
    print(text)
    if given.output is not None:
        given.output.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

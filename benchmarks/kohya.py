"""Learning with faceid beside textual inversion with kohya's sd-scripts: whole commands, in turns.

    git clone https://github.com/kohya-ss/sd-scripts         # with an environment of its own: it wants other versions
    python -m benchmarks.kohya --scripts sd-scripts --python sd-scripts/venv/bin/python

Stable Diffusion 1.5 at its true size, with random weights that are made on the spot: time and memory do not depend on
them. Both commands run with few steps and with more; the difference is what the steps took, the rest is the start.
Theirs has what its documentation offers to be quick: latents encoded once, torch's own attention. On the CPU the
seconds that the processor worked are compared: other programs may hold it meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from benchmarks.checkpoint_models import build, tokenizer
from benchmarks.commands import Run, run
from faceid_cli.model_files.vocabulary import write_vocabulary

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
_TOKENIZER = "openai_clip-vit-large-patch14"  # as their cache calls it


class Task(NamedTuple):
    """What both commands learn: from one picture, on one base model."""

    folder: Path
    size: int
    batch: int
    device: str

    def prepare(self) -> None:
        """Make the base model, their tokenizer's files, and the picture."""
        dtype = torch.float16 if self.device == "cuda" else torch.float32
        build("sd1", self.folder / "model", dtype, self.size)
        theirs = self.folder / "tokenizers" / _TOKENIZER
        tokenizer().save_pretrained(theirs)
        write_vocabulary(theirs)  # which their older transformers reads
        photos = self.folder / "photos" / "1_person"  # their way to say how often it is shown
        run([sys.executable, "-m", "faceid_cli", "samples", photos, "--person", 3, "--count", 1], OFFLINE)

    def ours(self, steps: int) -> list[object]:
        """The command that learns a person."""
        return [
            *(sys.executable, "-m", "faceid_cli", "enroll", "al", self.folder / "photos" / "1_person", "--replace"),
            *("--model", self.folder / "model", "--device", self.device, "--batch", self.batch, "--steps", steps),
            *("--quiet", "--no-keep-photos", "--no-detect"),
        ]

    def theirs(self, python: Path, steps: int) -> list[object]:
        """The command that does textual inversion, on the same picture and model."""
        return [
            *(python, "train_textual_inversion.py", "--pretrained_model_name_or_path", self.folder / "model"),
            *("--tokenizer_cache_dir", self.folder / "tokenizers", "--train_data_dir", self.folder / "photos"),
            *("--output_dir", self.folder / "theirs", "--output_name", "al", "--save_model_as", "safetensors"),
            *("--token_string", "alal", "--init_word", "person", "--num_vectors_per_token", 1, "--use_object_template"),
            *("--resolution", self.size, "--train_batch_size", self.batch, "--max_train_steps", steps),
            *("--learning_rate", "5e-3", "--optimizer_type", "AdamW", "--seed", 1, "--cache_latents", "--sdpa"),
            *("--mixed_precision", "no" if self.device == "cpu" else "bf16", "--max_data_loader_n_workers", 0),
        ]


def compare(task: Task, scripts: Path, python: Path, few: int, many: int, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a step and of the start, and the peak memory, "ours", "theirs" and by each other."""
    here = Path(__file__).parent.parent
    surroundings = {**OFFLINE, "FACEID_HOME": str(task.folder / "home")}
    took: dict[tuple[str, int], list[Run]] = {}
    for turn in range(rounds):
        for steps in (few, many):
            sides = [("ours", task.ours(steps), here), ("theirs", task.theirs(python, steps), scripts)]
            for name, words, folder in sides if turn % 2 == 0 else reversed(sides):
                took.setdefault((name, steps), []).append(run(words, surroundings, folder))
                print(f"{name} {steps} steps: {took[name, steps][-1][:3]}", flush=True)
    found: dict[str, dict[str, float]] = {}
    clock = "worked" if task.device == "cpu" else "wall"
    for name in ("ours", "theirs"):
        short, long = (median(getattr(each, clock) for each in took[name, steps]) for steps in (few, many))
        step = (long - short) / (many - few)
        peak = max(each.peak_bytes for steps in (few, many) for each in took[name, steps]) / 1e9
        found[name] = {"step": step, "start": short - few * step, "peak_gb": peak}
    found["ratio"] = {key: found["ours"][key] / found["theirs"][key] for key in found["ours"]}
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", type=Path, required=True, help="the folder of sd-scripts")
    parser.add_argument("--python", type=Path, required=True, help="of the environment that sd-scripts runs in")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", type=int, default=512, help="pixels")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--few", type=int, default=2, help="steps of the short runs")
    parser.add_argument("--many", type=int, default=6, help="steps of the long runs")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args(argv)
    with TemporaryDirectory() as folder:
        task = Task(Path(folder), arguments.size, arguments.batch, arguments.device)
        task.prepare()
        # Not resolved: an environment's python is a link.
        scripts, python = arguments.scripts.resolve(), arguments.python.absolute()
        found = compare(task, scripts, python, arguments.few, arguments.many, arguments.rounds)
    for key in found["ratio"]:
        ours, theirs, ratio = (found[name][key] for name in ("ours", "theirs", "ratio"))
        print(f"{key:8} ours {ours:8.2f}  theirs {theirs:8.2f}  ratio {ratio:.2f}", flush=True)
    if arguments.json:
        said = {"device": arguments.device, "size_px": arguments.size, "batch": arguments.batch}
        arguments.json.write_text(json.dumps(said | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

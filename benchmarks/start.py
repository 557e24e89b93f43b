"""How long `faceid generate` takes until its first step: imports, loading, the step itself.

    python -m benchmarks.start --runs 5                    # of the built-in model
    python -m benchmarks.start --runs 5 --against OTHER    # in turns with another checkout of this repository
    python -m benchmarks.start --model FOLDER --cold       # a base model that is on disk alone, as after a restart

Told are seconds by the clock, and seconds that the processor worked, which hardly depend on what else the machine does.
Each run is a process of its own. The first of each checkout, in which it gets to know the weights, is told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

_PROGRAM = """
import json, sys, time
source, device = sys.argv[1:]
began, marks = time.perf_counter(), {}
def mark(name):
    marks.setdefault(name, (time.perf_counter() - began, time.process_time()))
from faceid_cli.cli import app
from faceid_cli.kept.collector import collect_rarely
collect_rarely()
from faceid_cli.kept.own_process import claim_process
claim_process()
mark("command line")
import faceid_cli.cli.generate, faceid_cli.api.generate
try:
    from faceid_cli.model_files import read_ahead
    read_ahead(source)
except ImportError:
    pass
import torch
mark("torch")
import faceid_cli.backbone, faceid_cli.rendering.generate, faceid_cli.rendering.control
mark("all imports")
from faceid_cli.tokens import class_embedding
from faceid_cli.orders import RenderConfig
from faceid_cli.types import IdentityTokens
base = faceid_cli.backbone.load_base_model(source, device)
mark("base model")
feature = class_embedding(base, "person").expand(5, 1, -1).cpu()
people = {"al": IdentityTokens({"text_encoder": feature}, {"text_encoder": feature})}
size = {"width": 64, "height": 64} if source != "builtin" else {}
config = RenderConfig(steps=2, **size)
faceid_cli.rendering.generate.render(
    base, "<al>, a castle", people, [1], config, on_progress=lambda done, total: mark("first step")
)
print(json.dumps(marks))
"""


def run(checkout: Path, home: Path, source: str, device: str) -> dict[str, tuple[float, float]]:
    """Seconds since the start of a fresh process, by the clock and of the processor, by what was done by then."""
    surroundings = {**os.environ, "PYTHONPATH": str(checkout), "FACEID_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _PROGRAM, source, device]
    said = subprocess.run(command, env=surroundings, cwd=checkout, capture_output=True, text=True, check=True)
    found: dict[str, tuple[float, float]] = json.loads(said.stdout.splitlines()[-1])
    return found


def forget(model: Path) -> None:
    """Take a model's weights out of the system's memory, so that they are on disk alone (Linux)."""
    for path in [model] if model.is_file() else model.rglob("*.safetensors"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="after the first one")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--model", default="builtin", help="the base model; others than the built-in one at 64 px")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cold", action="store_true", help="take the base model out of the system's memory before")
    arguments = parser.parse_args(argv)
    here = Path(__file__).parent.parent
    ways = {"here": here, **({"there": arguments.against.resolve()} if arguments.against else {})}
    found: dict[str, list[dict[str, tuple[float, float]]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 + arguments.runs):
            for name, checkout in ways.items():
                if arguments.cold:
                    forget(Path(arguments.model))
                found[name].append(run(checkout, Path(folder) / name, arguments.model, arguments.device))
    for name, (first, *runs) in found.items():
        print(f"{name:18}  by the clock (best, first)      of the processor (best, first)")
        for mark in first:
            for clock in (0, 1):
                values = [each[mark][clock] for each in runs]
                said = f"{median(values):8.2f} ({min(values):.2f}, {first[mark][clock]:.2f})"
                print(f"  {mark:16}{said:32}" if clock == 0 else said, end="" if clock == 0 else "\n", flush=True)


if __name__ == "__main__":
    main()

"""How long `faceid generate` takes until its first step, in processor seconds: imports, loading, the step itself.

    python -m benchmarks.start --runs 5                    # of the built-in model
    python -m benchmarks.start --runs 5 --against OTHER    # in turns with another checkout of this repository

Processor seconds hardly depend on what else the machine does; each run is a process of its own.
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
from faceid_cli.cli import app
try:
    from faceid_cli.kept.collector import collect_rarely
    collect_rarely()
    from faceid_cli.kept.own_process import claim_process
    claim_process()
except ImportError:
    pass
marks = {"command line": time.process_time()}
import faceid_cli.cli.generate, faceid_cli.api.generate
import torch
marks["torch"] = time.process_time()
import faceid_cli.backbone, faceid_cli.rendering.generate, faceid_cli.rendering.control
marks["all imports"] = time.process_time()
from faceid_cli.tokens import class_embedding
from faceid_cli.orders import RenderConfig
from faceid_cli.types import IdentityTokens
base = faceid_cli.backbone.load_base_model("builtin", "cpu")
marks["base model"] = time.process_time()
feature = class_embedding(base, "person").expand(5, 1, -1)
people = {"al": IdentityTokens({"text_encoder": feature}, {"text_encoder": feature})}
def on_step(done, total):
    marks.setdefault("first step", time.process_time())
faceid_cli.rendering.generate.render(base, "<al>, a castle", people, [1], RenderConfig(steps=2), on_progress=on_step)
print(json.dumps({**marks, "modules": len(sys.modules)}))
"""


def run(checkout: Path) -> dict[str, float]:
    """Processor seconds since the start of a fresh process, by what was done by then."""
    with tempfile.TemporaryDirectory() as home:
        surroundings = {**os.environ, "PYTHONPATH": str(checkout), "FACEID_HOME": home, "OMP_NUM_THREADS": "1"}
        said = subprocess.run(
            [sys.executable, "-c", _PROGRAM], env=surroundings, cwd=checkout, capture_output=True, text=True, check=True
        )
    found: dict[str, float] = json.loads(said.stdout.splitlines()[-1])
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout")
    arguments = parser.parse_args(argv)
    here = Path(__file__).parent.parent
    ways = {"here": here, **({"there": arguments.against} if arguments.against else {})}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(arguments.runs):
        for name, checkout in ways.items():
            found[name].append(run(checkout))
    for name, runs in found.items():
        for mark in runs[0]:
            values = [each[mark] for each in runs]
            print(f"{name}  {mark:14}  median {median(values):8.2f}  best {min(values):8.2f}", flush=True)


if __name__ == "__main__":
    main()

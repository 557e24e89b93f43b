"""What `faceid enroll --plan` predicts beside what the enrolment then takes: seconds, memory, disk.

python -m benchmarks.plan                                   # one drawn person on the built-in model
python -m benchmarks.plan --device cuda --photos 4 --steps 75
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands import run


def faceid(home: Path, *words: object) -> tuple[dict[str, Any], float, int]:
    """Run a command; its JSON, its seconds, and its peak memory in bytes."""
    words = (sys.executable, "-m", "faceid_cli", *words, "--json")
    found = run(words, {"FACEID_HOME": str(home)}, Path(__file__).parent.parent)
    return json.loads(found.said), found.wall, found.peak_bytes


def bytes_in(folder: Path) -> int:
    """Of all files that belong to people."""
    files = [file for part in ("identities", "material") for file in (folder / part).rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def compare(device: str, photos: int, steps: int) -> dict[str, dict[str, float]]:
    """Predicted and found, and the one by the other: "seconds", "memory_bytes" (on the CPU) and "kept_bytes"."""
    with tempfile.TemporaryDirectory() as folder:
        home, pictures = Path(folder) / "home", Path(folder) / "photos"
        faceid(home, "samples", pictures, "--person", 3, "--count", photos)
        words = ("enroll", "al", pictures, "--device", device, "--steps", steps)
        plan = faceid(home, *words, "--plan")[0]["plan"]
        _, seconds, memory = faceid(home, *words)
        found = {"seconds": seconds, "kept_bytes": float(bytes_in(home))}
        if device == "cpu":
            found["memory_bytes"] = float(memory)
    return {
        name: {"predicted": plan[name], "found": value, "ratio": plan[name] / value} for name, value in found.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--steps", type=int, default=75)
    arguments = parser.parse_args(argv)
    for name, row in compare(arguments.device, arguments.photos, arguments.steps).items():
        predicted, found, ratio = row["predicted"], row["found"], row["ratio"]
        print(f"{name:14} predicted {predicted:14.1f}  found {found:14.1f}  ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()

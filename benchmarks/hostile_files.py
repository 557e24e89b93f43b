"""Damaged and hostile files, made by the thousand from real ones and read by faceid's own readers, in one process.

Every input has to end in success or in one error of ours: a traceback is a bug, a file written by a refused input
another, and so is memory that a small file fills. Inputs are numbered, and each follows from its number alone:

    python -m benchmarks.hostile_files                                  # all kinds, some minutes
    python -m benchmarks.hostile_files --only identity --first 4711 --count 1
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.hostile.kinds import KINDS
from benchmarks.hostile.one_file import Kind
from faceid_cli.errors import FaceIDError

COUNTS = {
    "identity": 54_000,
    "imported": 600,
    "bundle": 600,
    "weights": 6_000,
    "pickles": 2_000,
    "lora": 4_000,
    "folders": 6_000,
    "loaded": 30,
    "metadata": 20_000,
    "photos": 8_000,
    "registry": 100,
    "rows": 40,
}
"""Inputs of each kind: as many as are cheap."""

_SHOWN = 3
_MEMORY = "/dev/shm"  # SQLite waits for disks, thousands of times


@dataclass
class Tally:
    """What became of the inputs of one kind."""

    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    tracebacks: int = 0
    written: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0

    def row(self, name: str) -> str:
        """A line of the table."""
        return (
            f"| {name} | {self.inputs:,} | {self.refused:,} | {self.accepted:,} | {self.tracebacks} | {self.written} "
            f"| {self.peak_mb:.0f} | {self.seconds:.0f} |"
        )


HEADING = (
    "| kind | inputs | our errors | accepted | tracebacks | files written by refused | memory, MB more | s |\n"
    "|---|---|---|---|---|---|---|---|"
)


def run(name: str, first: int, count: int, seed: int = 0, show: Callable[[str], None] = print) -> Tally:
    """Read so many inputs of a kind.

    Args:
        name: One of `COUNTS`.
        first: Number of the first input.
        count: How many.
        seed: Other inputs for the same numbers.
        show: Called with what went wrong.
    """
    tally, seen = Tally(), Counter[str]()
    before = os.environ.get("FACEID_HOME")
    with TemporaryDirectory(prefix="faceid-hostile-", dir=_MEMORY if os.path.isdir(_MEMORY) else None) as folder:
        os.environ["FACEID_HOME"] = str(Path(folder) / "home")
        try:
            kind = KINDS[name](Path(folder))
            started, peak = time.monotonic(), _peak_mb()
            for number in range(first, first + count):
                _try(tally, seen, kind, random.Random(f"{seed}:{name}:{number}"), f"{name} {number}", show)
        finally:
            os.environ.pop("FACEID_HOME")
            if before is not None:
                os.environ["FACEID_HOME"] = before
    tally.seconds, tally.peak_mb = time.monotonic() - started, _peak_mb() - peak
    return tally


def _try(
    tally: Tally, seen: Counter[str], kind: Kind, chance: random.Random, label: str, show: Callable[[str], None]
) -> None:
    tally.inputs += 1
    kind.make(chance)
    before = kind.left()
    try:
        kind.read()
    except FaceIDError as error:
        tally.refused += 1
        if kind.left() != before:
            tally.written += 1
            show(f"{label}: refused ({error.message[:100]}), and yet {set(kind.left()) - set(before)} was written")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        tally.tracebacks += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {last.filename}:{last.lineno}"
        seen[place] += 1
        if seen[place] <= _SHOWN:
            show(f"{label}: {place}: {str(error)[:200]}")
    else:
        tally.accepted += 1


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    """Run each kind in a process of its own, so that its memory is its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(COUNTS), default=tuple(COUNTS), help="these kinds")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, help="inputs of each kind, instead of as many as are cheap")
    parser.add_argument("--seed", type=int, default=0, help="other inputs for the same numbers")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.here:
        for name in said.only:
            tally = run(name, said.first, said.count or COUNTS[name], said.seed, lambda line: print(line, flush=True))
            print(tally.row(name), flush=True)
        return
    print(HEADING, flush=True)
    for name in said.only:
        words = [sys.executable, "-m", "benchmarks.hostile_files", "--here", "--only", name]
        words += ["--first", str(said.first), "--seed", str(said.seed)]
        words += [] if said.count is None else ["--count", str(said.count)]
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

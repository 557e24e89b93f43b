"""How many rows a second the driver of `--devices` and `--ray` holds: alone, with workers that only sleep.

    python -m benchmarks.driver                       # 20,000 rows, 64 workers; a minute
    python -m benchmarks.driver --rows 100000 --workers 2000 --bytes 400000
    python -m benchmarks.driver --profile plan        # where the time of a stage goes

A stage after the other, so that each has its own figure; all run in the driver's one process:

- plan: rows are read, expanded, checked, named, looked up in the registry and hashed;
- dispatch: planned rows are cut into portions, packed for the way to a worker, what comes back is unpacked and told;
- write: pictures, which came as finished files, are written and recorded in the registry.

Two figures of each: by the clock, and by what the process spent of the processor, which other programs do not disturb.
Workers sleep for as long as a picture would take them, and answer with a file of random bytes, packed as Ray and
processes pack it. Nothing is rendered, and torch is not imported.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np

from faceid_cli.api.already import Already
from faceid_cli.api.batch import BatchPlan, plan_batch, split_options
from faceid_cli.api.loaded import Loaded
from faceid_cli.api.rendering_worker import Made, Portion, Returned
from faceid_cli.api.results import Results, Sink
from faceid_cli.api.saving import WRITERS, Saver
from faceid_cli.api.sinks import Files, Memory
from faceid_cli.api.spreading import Spreading
from faceid_cli.api.wanted import RENDERED, Outcome
from faceid_cli.kept.collector import collect_rarely
from faceid_cli.kept.identity_file import IdentityMetadata, save_identity
from faceid_cli.model_files import fingerprint_of
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import RenderRequest
from faceid_cli.workers.pool import AHEAD, Answer

STAGES = ("plan", "dispatch", "write")
_PEOPLE = 8
_WIDTH = 768  # of Stable Diffusion 1.5's tokens


class Sleepers:
    """A pool of workers that sleep; see `faceid_cli.workers.pool.Pool`.

    Args:
        workers: How many.
        seconds: That each sleeps for a portion.
        data: The file that stands for every picture.
    """

    def __init__(self, workers: int, seconds: float, data: bytes) -> None:
        self.told = f"{workers} that sleep"
        self._most, self._seconds, self._data = workers * AHEAD, seconds, data
        self._asleep: deque[tuple[float, int, bytes]] = deque()
        self._free = [0.0] * workers
        self.clock = self.processor = 0.0
        """Seconds that the workers' own part took, which elsewhere is not the driver's."""

    @property
    def room(self) -> int:
        return self._most - len(self._asleep)

    def give(self, ticket: int, task: Portion) -> None:
        packed = bytes(ForkingPickler.dumps(task))  # as it goes to another process or machine
        assert packed
        now, spent, worker = time.perf_counter(), time.process_time(), ticket % len(self._free)
        self._free[worker] = max(self._free[worker], now) + self._seconds
        answer = Returned([self._made(number, each) for number, each in enumerate(task.pictures)])
        self._asleep.append((self._free[worker], ticket, bytes(ForkingPickler.dumps(answer))))
        self.clock += time.perf_counter() - now
        self.processor += time.process_time() - spent

    def take(self, seconds: float) -> list[Answer]:
        first = self._asleep[0][0]
        if (wait := first - time.perf_counter()) > 0:
            time.sleep(min(wait, seconds))
        now, found = time.perf_counter(), []
        while self._asleep and self._asleep[0][0] <= now:
            _, ticket, packed = self._asleep.popleft()
            found.append(Answer(ticket, ForkingPickler.loads(packed)))
        return found

    def close(self) -> None:
        self._asleep.clear()

    def _made(self, number: int, wanted: Any) -> Made:
        settings = {**settings_like(), "seed": wanted.seed, "request": wanted.request, "prompt": wanted.prompt}
        return Made(number, self._data, RenderRequest(wanted.prompt, wanted.order.names, wanted.seed), settings, False)


def settings_like() -> dict[str, Any]:
    """As many settings as a picture has."""
    return {
        "steps": 30,
        "guidance_scale": 7.5,
        "width": 512,
        "height": 512,
        "similarity": None,
        "stages": (1, 2, 3, 4, 5),
        "base_model": "builtin",
        "base_fingerprint": "sd1:0123456789abcdef",
        "versions": {"faceid": "1", "python": "3", "torch": "2", "diffusers": "0", "transformers": "5"},
        "pixels": "0" * 64,
        "batch": (1, 2, 3, 4),
        "identity_hashes": {"alice": "0" * 16},
        "hashes": {"model": "0" * 10},
        "command": "faceid generate alice 'a cup' --seed 1 --steps 30",
        "seconds": 0.5,
        **{f"setting_{number}": number for number in range(40)},
    }


def enrol_people() -> None:
    """People without training, of as many numbers as Stable Diffusion 1.5 has of a person."""
    fingerprint = fingerprint_of("builtin")
    with Registry.open() as registry:
        for number in range(_PEOPLE):
            name = f"person{number}"
            features = {"text_encoder": np.full((5, 1, _WIDTH), number, dtype=np.float32)}
            metadata = IdentityMetadata(name, "person", "builtin", fingerprint)
            new = NewIdentity(name, "person", "builtin", fingerprint, {"method": "sefi", "steps": 1}, ())

            def write(kept: Any, features: Any = features, metadata: IdentityMetadata = metadata) -> None:
                save_identity(kept.path, features, features, metadata)

            registry.add_identity(new, write, NewRun(new.method, ((0.5, 0.25),), 1.0))


def run(rows: int, workers: int, seconds: float, size: int, folder: Path, profiled: str) -> dict[str, Any]:
    """All stages; rows a second of each."""
    enrol_people()
    given = [
        {"name": f"person{number % _PEOPLE}", "prompt": f"a castle in winter, number {number}", "seed": number}
        for number in range(rows)
    ]
    order, common = split_options({"device": "cpu"})
    data = os.urandom(size)
    plans: list[BatchPlan] = []
    done: list[str] = []
    pools: list[Sleepers] = []

    def spread(sink: Sink) -> None:
        done.clear()
        results, pool = Results(sink, tell, note), Sleepers(workers, seconds, data)
        pools.append(pool)
        Spreading(pool, Loaded(note), results, note).render(plans[0].missing)

    def tell(outcome: Outcome) -> None:
        done.append(outcome.status)

    def plan() -> None:
        plans.append(plan_batch(given, order, common, folder / "out"))

    def write() -> None:
        (folder / "out").mkdir()
        saver = Saver(note, threads=WRITERS)
        spread(Files(saver, Already()))
        saver.close()

    work = {"plan": plan, "dispatch": lambda: spread(Memory()), "write": write}
    found: dict[str, Any] = {"rows": rows, "workers": workers, "bytes": size, "rows_a_second": {}}
    before = peak_bytes()
    for stage in STAGES:
        clock, processor = timed(work[stage], stage == profiled)
        if stage != "plan":
            clock, processor = clock - pools[-1].clock, processor - pools[-1].processor
        found["rows_a_second"][stage] = {"clock": round(rows / clock), "processor": round(rows / processor)}
        if stage == "plan":
            found["bytes_of_a_planned_row"] = round((peak_bytes() - before) / rows)
        else:
            assert done == [RENDERED] * rows, stage
    assert len(list((folder / "out").glob("*.png"))) == rows
    assert "torch" not in sys.modules
    found["versions"] = {"python": platform.python_version()}
    return found


def note(line: str) -> None:
    """What would be told the user is of no interest here."""


def peak_bytes() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def timed(work: Callable[[], None], is_profiled: bool) -> tuple[float, float]:
    """Seconds that a piece of work takes, on the clock and of the processor; where they go is printed if asked for."""
    profile = cProfile.Profile() if is_profiled else None
    began, spent = time.perf_counter(), time.process_time()
    if profile is None:
        work()
    else:
        profile.runcall(work)
    took = time.perf_counter() - began, time.process_time() - spent
    if profile is not None:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumtime").print_stats(40)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000, help="how many pictures")
    parser.add_argument("--workers", type=int, default=64, help="how many sleep")
    parser.add_argument("--seconds", type=float, default=0.01, help="that a worker sleeps for a batch of four")
    parser.add_argument("--bytes", type=int, default=1000, help="of a picture's file")
    parser.add_argument("--profile", default="", choices=("", *STAGES), help="a stage whose time is told in parts")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    given = parser.parse_args()
    collect_rarely()  # as the command does
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FACEID_HOME"] = str(Path(folder) / "home")
        found = run(given.rows, given.workers, given.seconds, given.bytes, Path(folder), given.profile)
    text = json.dumps(found, indent=2)
    print(text)
    if given.output is not None:
        given.output.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

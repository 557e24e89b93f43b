"""Whole commands as processes of their own: what one says, and what it takes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple


class Run(NamedTuple):
    """What a command took, and what it said on stdout."""

    wall: float
    worked: float
    peak_bytes: int
    said: str


def run(
    words: Sequence[object],
    surroundings: Mapping[str, str],
    folder: Path | None = None,
    fine: Collection[int] = (0,),
) -> Run:
    """Run a command to its end; processor seconds and memory are those of it and its children.

    Args:
        words: The command line.
        surroundings: Variables beside those of this process.
        folder: Where it runs; here if None.
        fine: Exit codes that are no failure.

    Raises:
        SystemExit: It failed; with the end of what it said.
    """
    started = time.perf_counter()
    with TemporaryFile() as said, TemporaryFile() as talk:
        process = subprocess.Popen(
            list(map(str, words)), cwd=folder, env={**os.environ, **surroundings}, stdout=said, stderr=talk
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall, process.returncode = time.perf_counter() - started, os.waitstatus_to_exitcode(status)
        texts = []
        for file in (said, talk):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    if process.returncode not in fine:
        end = "".join(texts)[-2000:]
        raise SystemExit(f"{' '.join(map(str, words[:4]))} ended with {process.returncode}: {end}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, texts[0])

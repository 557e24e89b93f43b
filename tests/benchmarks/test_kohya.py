"""benchmarks/kohya: what is told apart as a step and as the start."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import kohya
from benchmarks.commands import Run
from benchmarks.kohya import Task, compare


@pytest.mark.parametrize(("device", "ours", "theirs"), [("cpu", 2.0, 3.0), ("cuda", 4.0, 6.0)])
def test_a_step_is_what_more_steps_took_and_the_start_the_rest(monkeypatch, tmp_path, device, ours, theirs) -> None:
    def took(words: list[object], surroundings: dict[str, str], folder: Path) -> Run:
        steps = next(value for name, value in pairwise(words) if name in ("--steps", _MOST))
        start, step = (7.0, 2.0) if "enroll" in words else (5.0, 3.0)
        worked = start + step * int(str(steps))
        return Run(2 * worked, worked, 4_000_000_000, "")

    monkeypatch.setattr(kohya, "run", took)
    found = compare(Task(tmp_path, 64, 1, device), tmp_path, Path(sys.executable), few=1, many=3, rounds=2)
    assert (found["ours"]["step"], found["theirs"]["step"]) == (ours, theirs)
    scale = ours / 2
    assert found["ours"]["start"] == 7 * scale
    assert found["ratio"] == {"step": pytest.approx(2 / 3), "start": pytest.approx(7 / 5), "peak_gb": 1.0}


_MOST = "--max_train_steps"

"""benchmarks/kohya: what is told apart as a step and as the start, and that a command that fails is no result."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import kohya
from benchmarks.kohya import Run, Task, compare, run


@pytest.mark.parametrize(("device", "ours", "theirs"), [("cpu", 2.0, 3.0), ("cuda", 4.0, 6.0)])
def test_a_step_is_what_more_steps_took_and_the_start_the_rest(monkeypatch, tmp_path, device, ours, theirs) -> None:
    def took(words: list[object], folder: Path, home: Path) -> Run:
        steps = next(value for name, value in pairwise(words) if name in ("--steps", _MOST))
        start, step = (7.0, 2.0) if "enroll" in words else (5.0, 3.0)
        worked = start + step * int(str(steps))
        return Run(2 * worked, worked, 4.0)

    monkeypatch.setattr(kohya, "run", took)
    found = compare(Task(tmp_path, 64, 1, device), tmp_path, Path(sys.executable), few=1, many=3, rounds=2)
    assert (found["ours"]["step"], found["theirs"]["step"]) == (ours, theirs)
    scale = ours / 2
    assert found["ours"]["start"] == 7 * scale
    assert found["ratio"] == {"step": pytest.approx(2 / 3), "start": pytest.approx(7 / 5), "peak_gb": 1.0}


def test_a_command_that_fails_ends_it_with_what_was_said(tmp_path) -> None:
    with pytest.raises(SystemExit, match="-c ended with 3: no such option"):
        run([sys.executable, "-c", "print('no such option'); raise SystemExit(3)"], tmp_path)


def test_what_a_command_worked_is_told(tmp_path) -> None:
    found = run([sys.executable, "-c", "sum(range(10_000_000)); bytearray(200_000_000)"], tmp_path)
    assert found.worked > 0
    assert found.peak_gb > 0.15


_MOST = "--max_train_steps"

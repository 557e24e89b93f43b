"""kept/locks.py, and what relies on it: one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import faceid_cli
from faceid_cli.errors import NameTakenError
from faceid_cli.kept import paths
from faceid_cli.kept.locks import locked
from faceid_cli.kept.runs import checkpoint_dir, claimed_run, discard_checkpoint, move_checkpoint
from faceid_cli.kept.settings import read_settings

# Takes and leaves a claim as often as it can, and says how often it had it, and how often it was not alone.
CONTEND = """
import os, sys, time
from faceid_cli.errors import NameTakenError
from faceid_cli.kept.runs import claimed_run
had = met = 0
end = time.monotonic() + 1.0
while time.monotonic() < end:
    try:
        with claimed_run("alice") as folder:
            had += 1
            try:
                os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL))
                os.unlink(sys.argv[1])
            except FileExistsError:
                met += 1
    except NameTakenError:
        pass
print(had, met)
"""
SET = """
import sys
from faceid_cli.kept.settings import write_setting
for key, value in (pair.split("=") for pair in sys.argv[1:]):
    write_setting(key, value)
"""


def _started(code: str, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(faceid_cli.__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, stdout=subprocess.PIPE, text=True)


def test_a_claim_is_never_held_by_two(tmp_path) -> None:
    processes = [_started(CONTEND, str(tmp_path / "marker")) for _ in range(4)]
    counts = [tuple(map(int, process.communicate(timeout=60)[0].split())) for process in processes]
    assert sum(met for _, met in counts) == 0
    assert sum(had for had, _ in counts) > 50
    assert list(paths.runs_dir().iterdir()) == []


def test_settings_that_are_set_at_once_are_all_kept() -> None:
    pairs = ["device=cpu", "precision=float32", "detector=resnet50", "generate.steps=7", "count=2"]
    for process in [_started(SET, pair) for pair in pairs]:
        process.communicate(timeout=60)
        assert process.returncode == 0
    kept = read_settings()
    assert [f"{key}={kept[key]}" for key in (pair.partition("=")[0] for pair in pairs)] == pairs


def test_a_lock_is_had_again_when_it_is_left_and_leaves_no_file(tmp_path) -> None:
    file = tmp_path / "folder" / "lock"
    with locked(file) as first, locked(file) as second:
        assert (first, second) == (True, False)
    with locked(file) as third:
        assert third
    assert not file.exists()


def test_a_checkpoint_at_which_somebody_works_is_neither_deleted_nor_moved() -> None:
    with claimed_run("alice") as folder:
        (folder / "state").write_text("x")
        assert not discard_checkpoint("Alice")
        move_checkpoint("alice", "bob")
        with pytest.raises(NameTakenError), claimed_run("ALICE"):
            pass
        assert (folder / "state").exists()
    move_checkpoint("alice", "bob")
    assert (checkpoint_dir("bob") / "state").exists()
    assert discard_checkpoint("bob")
    assert list(paths.runs_dir().iterdir()) == []

"""benchmarks/speed: every way that this machine can go is measured, and written down as it comes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.speed import main
from benchmarks.timing import Results


@pytest.mark.slow
def test_all_ways_are_measured_beside_the_floor(tmp_path: Path, capsys) -> None:
    file = tmp_path / "speed.json"
    main(["--quick", "--device", "cpu", "--batch", "1", "--together", "1,3", "--json", str(file)])
    found = json.loads(file.read_text())
    rows = {(row["part"], row["way"]): row for row in found["rows"]}
    assert not [row for row in rows.values() if "error" in row]
    assert {way for part, way in rows if part == "rendering"} == {"stock", "ours"}
    together = {way: row for (part, way), row in rows.items() if part == "together"}
    assert set(together) == {"1 person", "3 people"}
    assert together["1 person"]["to_one"] == 1
    assert 0.5 < together["3 people"]["to_one"] < 6
    training = {way: row for (part, way), row in rows.items() if part == "training"}
    assert set(training) == {
        "floor",
        "stock",
        "stock, checkpointing",
        "ours, launched",
        "ours, launched, thrifty",
    }
    assert training["floor"]["flops"] > 1e8
    for way, row in training.items():
        if way != "floor":
            assert len(row["first"]) == 5
            assert row["median"] > training["floor"]["median"]
    assert training["ours, launched"]["losses"] == pytest.approx(
        training["ours, launched, thrifty"]["losses"], abs=1e-4
    )
    assert "ours, launched" in capsys.readouterr().out


def test_a_way_that_fails_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    results = Results(tmp_path / "speed.json", 60)
    with results.guarded(part="training", way="one", batch=1):
        raise torch.OutOfMemoryError("too much")
    results.row(part="training", way="another", batch=1, median=1.0)
    rows = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert rows[0]["error"] == "OutOfMemoryError: too much"
    assert rows[1]["median"] == 1.0

"""The benchmark of the driver runs, and measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_every_stage_gets_its_rows(tmp_path: Path) -> None:
    output = tmp_path / "driver.json"
    command = [sys.executable, "-m", "benchmarks.driver", "--rows", "24", "--workers", "2", "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["rows"] == 24
    assert list(found["rows_a_second"]) == ["plan", "dispatch", "write"]
    assert all(rate > 0 for each in found["rows_a_second"].values() for rate in each.values())

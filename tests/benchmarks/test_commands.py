"""benchmarks/commands: what a command takes is told, and one that fails is no result."""

from __future__ import annotations

import sys

import pytest

from benchmarks.commands import run


def test_a_command_that_fails_ends_it_with_what_was_said() -> None:
    words = [sys.executable, "-c", "print('no such option'); raise SystemExit(3)"]
    with pytest.raises(SystemExit, match=r"ended with 3: no such option"):
        run(words, {})
    assert run(words, {}, fine=(0, 3)).said == "no such option\n"


def test_what_a_command_took_is_told(tmp_path) -> None:
    code = "import os; sum(range(10_000_000)); bytearray(200_000_000); print(os.environ['SAID'], os.getcwd())"
    found = run([sys.executable, "-c", code], {"SAID": "this"}, tmp_path)
    assert found.worked > 0
    assert found.wall > 0
    assert found.peak_bytes > 150_000_000
    assert found.said == f"this {tmp_path}\n"

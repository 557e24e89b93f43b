"""How soon a command says something: before it imports what takes long."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="no terminals of this kind")


@pytest.mark.parametrize("words", [("generate", "nobody", "beach"), ("compose", "nobody", "noone", "beach")])
def test_the_first_line_stands_there_before_anything_heavy_is_imported(words) -> None:
    """The registry's library takes half a second, torch and what is built on it several."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-X", "importtime", "-m", "faceid_cli", *words]
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    told = read_all(ours)
    assert process.wait() > 0, "nobody is enrolled"
    before, found, after = told.partition("loading ...")
    assert found
    assert "| typer" in before, "times of imports are told in between"
    for heavy in ("sqlmodel", "sqlalchemy", "numpy", "torch"):
        assert f" {heavy}\r" not in before
    assert " sqlmodel\r" in after


def read_all(terminal: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode()

"""The recipes of docs/batch.md for the shell: each is run as it stands."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs/batch.md"
PICTURES = (2, 2, 3, 4, 2, 1)
"""How many each of them makes of what lies there."""


def recipes() -> list[str]:
    """Blocks of code under "In scripts", which begin with a word of the shell."""
    text = GUIDE.read_text(encoding="utf-8").partition("## In scripts")[2]
    return [re.sub(r"^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)]


SLOW = ("xargs", "find", "while")  # a process a picture


@pytest.mark.parametrize(
    ("recipe", "count"),
    [
        pytest.param(recipe, count, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, recipe, count in zip(
            ("while", "xargs", "find", "jq", "jq-in", "serve"), recipes(), PICTURES, strict=True
        )
    ],
)
def test_a_recipe_does_what_it_says(recipe: str, count: int, alice, faceid, tmp_path: Path) -> None:
    for program in ("jq", "xargs", "find"):
        if re.search(rf"\b{program}\b", recipe) and shutil.which(program) is None:
            pytest.skip(f"{program} is not on this machine")
    faceid("export", "alice", "-o", "copy.safetensors")
    faceid("import", "copy.safetensors", "--name", "bob")
    for key, value in (("steps", 1), ("device", "cpu")):
        assert faceid("config", "set", key, value).code == 0
    Path("places.txt").write_text("castle\nbeach\n", encoding="utf-8")
    Path("prompts.txt").write_text("cup\nmountains\n", encoding="utf-8")
    Path("scenes.json").write_text(json.dumps([{"text": "cup", "id": 3}, {"text": "night", "id": 4}]), encoding="utf-8")
    Path("people").mkdir()
    Path("people/a.txt").write_text("cup\nbeach\n", encoding="utf-8")
    Path("people/b.txt").write_text("night\n", encoding="utf-8")
    shim = tmp_path / "bin" / "faceid"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m faceid_cli "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(GUIDE.parents[1]),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", recipe], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert len(files) == count
    assert all(Path(file).suffix == ".png" and Path(file).is_file() for file in files)

"""Many pictures in tests: quick ones, what was said of each, and what lies there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CHEAP = ("--device", "cpu", "--precision", "float32", "--steps", 2)


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.out.splitlines()]


def pictures(folder: str = "out") -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.png"))


def outside(*words: object) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, "-m", "faceid_cli", *map(str, words)]
    return command, {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}

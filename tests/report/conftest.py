"""A report with something in every section, and with text that tries to be more than text."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from faceid_cli.report import MapColumn, ReportContent, ReportPhoto, ReportPicture, ScoreTable

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&" + "long" * 60


@pytest.fixture
def hostile() -> str:
    return HOSTILE


@pytest.fixture
def content() -> ReportContent:
    def noise(width: int, height: int) -> Image.Image:
        pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), dtype=np.uint8)
        return Image.fromarray(pixels)

    pictures = [ReportPicture(noise(900, 600), HOSTILE), ReportPicture(noise(128, 128), "crop")]
    return ReportContent(
        name="alice",
        facts={"note": HOSTILE, "tags": "", "class word": "woman"},
        photos=[
            ReportPhoto(HOSTILE, "good", pictures=pictures),
            ReportPhoto("b.jpg", "left out", ["blurred", HOSTILE]),
        ],
        settings={"steps": "1000", HOSTILE: HOSTILE},
        losses=[(0.3 + math.exp(-step / 200), 1e-4 / (step + 1)) for step in range(1000)],
        training_note="1000 steps in 90 s.",
        previews=[ReportPicture(noise(128, 128), f"{step} steps") for step in (0, 50, 100)],
        previews_note=HOSTILE,
        maps=[MapColumn("picture", noise(128, 96), noise(128, 96)), MapColumn(HOSTILE, noise(64, 64), noise(64, 64))],
        maps_note="shared scale",
        scores=[ScoreTable(HOSTILE, ["prompts", *(f"column {n}" for n in range(9))], [["scenes", *["0.12"] * 9]])],
        command=f"faceid enroll alice '{HOSTILE}'",
        version="1.2",
    )

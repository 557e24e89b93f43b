"""What a report begins with, and what it says of the curves."""

import math
import random

import pytest
from PIL import Image

from faceid_cli.report import ReportContent, ReportPicture
from faceid_cli.report.page import report_page
from faceid_cli.report.rendered import losses_in_words


def test_the_report_begins_with_the_person_and_ends_with_the_losses() -> None:
    page = report_page(
        ReportContent(
            "alice",
            rendered=[ReportPicture(Image.new("RGB", (8, 8)), "a cup, seed 3")],
            photos_note="no photos",
            previews_note="no samples",
            losses=[(0.5, 0.2)] * 30,
        )
    )
    places = [page.index(f"<h2>{title}</h2>") for title in ("Pictures", "Photos", "Over the training", "Training")]
    assert places == sorted(places)
    assert page.index("a cup, seed 3") < page.index("<svg")


def curve(first: float, last: float, noise: float = 0.05, steps: int = 200) -> list[float]:
    chance = random.Random(0)
    return [first + (last - first) * step / steps + chance.gauss(0, noise) for step in range(steps)]


@pytest.mark.parametrize(
    ("reconstruction", "attention", "said"),
    [
        (curve(0.5, 0.2), curve(0.3, 0.1), ["reconstruction loss fell", "as it should.", "attention loss fell"]),
        (curve(0.2, 0.5), curve(0.1, 0.3), ["rose", "half the --learning-rate", "larger --lambda"]),
        (curve(0.3, 0.3, 0.2), curve(0.1, 0.1), ["hardly changed", "which is usual", "stayed where it was"]),
        ([0.5] * 40, [0.25] * 40, ["hardly changed", "stayed"]),
        (curve(0.5, 0.2), [0.0] * 200, ["reconstruction loss fell"]),
        ([0.5] * 3, [0.2] * 3, ["3 steps are too few"]),
        ([0.5] * 50 + [math.nan], [0.2] * 51, ["not all numbers", "--precision float32"]),
        ([], [], []),
    ],
)
def test_the_curves_are_told_in_words(reconstruction, attention, said) -> None:
    words = losses_in_words(list(zip(reconstruction, attention, strict=True)))
    assert [part for part in said if part not in words] == []
    assert bool(words) == bool(said)
    assert ("attention" in words) == any("attention" in part or "lambda" in part or "stayed" in part for part in said)

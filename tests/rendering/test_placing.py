"""rendering/placing.py: regions are where faces come up in a quick try with the same seed."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from faceid_cli.errors import WeightsMissingError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering import placing
from faceid_cli.rendering.layouts import Cast, even_grid
from faceid_cli.rendering.placing import Placed, Placing
from faceid_cli.rendering.plan import plan_rendering
from faceid_cli.rendering.scene import read_scene
from faceid_cli.rendering.wording import Wordings
from faceid_cli.types import Box, Face

SCENE = read_scene("<alice> and <bob> at night", {"alice": "woman", "bob": "man"})
CONFIG = RenderConfig(steps=6)


class Finder:
    """Finds as many faces in each picture as it is told, and keeps what it was shown."""

    def __init__(self, *counts: int) -> None:
        self._counts, self.shown = list(counts), list[Image.Image]()

    def find(self, image: Image.Image) -> list[Face]:
        self.shown.append(image)
        side = image.width / 8
        count = self._counts[len(self.shown) - 1]
        return [Face(Box(image.width * place / count + 2, 20, side, side), (), 1.0) for place in range(count)]


@pytest.fixture
def place(tiny_base: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    notes: list[str] = []

    def use(finder: object, *seeds: int, layout: Any = None) -> tuple[list[Any], list[str]]:
        def find(*rest: object) -> object:
            if isinstance(finder, Exception):
                raise finder
            return finder

        monkeypatch.setattr(placing, "finder_for", find)
        cast = Cast(SCENE, "auto", layout)
        made = Placing(tiny_base, Wordings(tiny_base), notes.append)
        return made.layouts([Placed(cast, seed, CONFIG) for seed in seeds], plan_rendering(tiny_base, CONFIG)), notes

    return use


def test_each_seed_has_regions_around_its_own_faces_and_too_few_are_told(place: Any) -> None:
    finder = Finder(2, 1)
    layouts, notes = place(finder, 1, 2)
    assert layouts[0] != even_grid(2)
    assert layouts[0][0][0] == 0
    assert layouts[1] == even_grid(2)
    assert notes == [
        "seed 2: 1 faces were seen in a quick try, not 2, so people stand side by side; --layout or --region say where "
        "else"
    ]
    assert finder.shown[0].tobytes() != finder.shown[1].tobytes()


def test_regions_that_are_given_are_not_looked_for(place: Any) -> None:
    finder = Finder()
    given = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0))
    assert place(finder, 1, layout=given) == ([given], [])
    assert finder.shown == []


def test_without_a_face_finder_people_stand_side_by_side_which_is_told_once(place: Any) -> None:
    layouts, notes = place(WeightsMissingError("no weights", "fetch them"), 1, 2)
    assert layouts == [even_grid(2)] * 2
    assert notes == ["people stand side by side, since faces cannot be found: no weights; fetch them"]

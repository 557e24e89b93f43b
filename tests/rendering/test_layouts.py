"""rendering/layouts.py: grids, regions that are given, regions around faces, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faceid_cli.errors import UsageError
from faceid_cli.rendering.layouts import (
    even_grid,
    given_layout,
    grid_of,
    keys_of,
    layout_of_faces,
    read_layout_file,
    written_layout,
)
from faceid_cli.rendering.scene import Figure
from faceid_cli.types import Box, Face

PAIR = (Figure("alice", "", "", "a woman"), Figure("", "", "", "a man"))


def face(x: float, y: float, side: float = 40) -> Face:
    return Face(Box(x - side / 2, y - side / 2, side, side), (), 1.0)


@pytest.mark.parametrize(("name", "count"), [("left-right", 2), ("triple", 3), ("four", 4), ("squares", 4)])
def test_grids_lie_in_the_picture_and_do_not_overlap(name: str, count: int) -> None:
    layout = grid_of(name, count)
    for left, top, right, bottom in layout:
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
    for place, first in enumerate(layout):
        for second in layout[place + 1 :]:
            assert min(first[2], second[2]) <= max(first[0], second[0]) or min(first[3], second[3]) <= max(
                first[1], second[1]
            )


def test_more_people_than_a_grid_has_regions_are_refused() -> None:
    with pytest.raises(UsageError, match="there are 3 people and the layout left-right has 2 regions"):
        grid_of("left-right", 3)


def test_regions_are_around_the_largest_faces_from_left_to_right() -> None:
    layout = layout_of_faces([face(150, 90), face(10, 10, 5), face(60, 80)], 2, (256, 256))
    assert layout is not None
    (alice, bob) = layout
    assert alice[0] == 0
    assert alice[2] == bob[0] == pytest.approx(105 / 256, abs=1e-3)  # halfway between the two
    assert alice[1] == pytest.approx((60 - 0.6 * 40) / 256, abs=1e-3)
    assert alice[3] == bob[3] == 1
    assert layout_of_faces([face(60, 80)], 2, (256, 256)) is None


def test_regions_of_the_command_line_are_in_the_order_of_the_prompt_and_come_back_as_they_were() -> None:
    given = ("2=0.5,0,1,1", "alice=0,0.1,0.5,1")
    layout = given_layout(given, PAIR)
    assert layout == ((0, 0.1, 0.5, 1), (0.5, 0, 1, 1))
    assert keys_of(PAIR) == ["alice", "2"]
    assert given_layout(written_layout(PAIR, layout), PAIR) == layout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("alice=0,0,0.5,1",), "there are 2 people and 1 regions: 2 has none"),
        (("alice=0,0,0.5,1", "bob=0.5,0,1,1"), "is nobody's: the prompt has alice, 2"),
        (("alice=0,0,0.5,1", "2=0,0,0.5,1"), "alice and 2 have the same region"),
        (("alice=0,0,0.5,1", "alice=0.5,0,1,1"), "alice has two regions"),
        (("alice=0,0,1.5,1", "2=0,0,0.5,1"), "is empty, or not in the picture"),
        (("alice=0.5,0,0.5,1", "2=0,0,0.5,1"), "is empty, or not in the picture"),
        (("alice=0,0,nan,1", "2=0,0,0.5,1"), "is empty, or not in the picture"),
        (("alice", "2=0,0,0.5,1"), "is no region"),
    ],
)
def test_regions_that_cannot_be_meant_are_refused(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        given_layout(given, PAIR)


def test_a_layout_file_is_json_of_regions_by_name(tmp_path: Path) -> None:
    file = tmp_path / "layout.json"
    file.write_text(json.dumps({"alice": [0, 0.1, 0.5, 1], "bob": [0.5, 0.1, 1, 1]}))
    assert read_layout_file(file) == ("alice=0.0,0.1,0.5,1.0", "bob=0.5,0.1,1.0,1.0")
    twice = '{"alice": [0, 0, 0.5, 1], "bob": [0.5, 0, 1, 1], "alice": [0, 0, 1, 1]}'
    for wrong in ("[]", '{"alice": 3}', '{"alice": [0, 0, 2, 1]}', "nonsense", '{"alice": [0, 0, NaN, 1]}', twice):
        file.write_text(wrong)
        with pytest.raises(UsageError):
            read_layout_file(file)


def test_people_side_by_side_have_equal_parts() -> None:
    widths = [right - left for left, _, right, _ in even_grid(3)]
    assert widths == pytest.approx([widths[0]] * 3)

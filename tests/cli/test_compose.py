"""`faceid compose`: who is where, what is told and kept of it, and what is repaired."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceid_cli.api import checking
from faceid_cli.evaluation import judging, references
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.rendering.metadata import read_metadata
from faceid_cli.types import Box, Face

CHEAP = ("--device", "cpu", "--precision", "float32", "--steps", 2)
GRID = ("--layout", "left-right", *CHEAP)
LEFT, RIGHT = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


@dataclass
class Halves:
    """Sees a face in each half: the left one is alice's once its pixels are not the first ones, the right one bob's."""

    first: dict[bytes, float] = field(default_factory=dict)
    is_drawn_world = True

    def find_faces(self, image: Image.Image) -> list[Face]:
        wide, high = image.width / 2, image.height
        return [Face(Box(x + wide / 4, high / 4, wide / 2, high / 2), (), 1.0) for x in (0, wide)]

    def embed(self, image: Image.Image, face: Face) -> np.ndarray:
        box = face.box
        if box.x > image.width / 2:
            return RIGHT
        seen = image.crop((int(box.x), int(box.y), int(box.x + box.width), int(box.y + box.height))).tobytes()
        alike = self.first.setdefault(seen, 0.1 if not self.first else 0.9)
        return np.array([alike, 0.0, np.sqrt(1 - alike**2)])

    def outline(self, image: Image.Image, face: Face) -> None:
        return None


@pytest.fixture
def judge(monkeypatch) -> Halves:
    """A judge who knows alice and bob."""
    halves = Halves()
    monkeypatch.setattr(judging, "picture_judge", lambda *rest, **named: halves)
    monkeypatch.setattr(checking, "finder_for", lambda *rest: halves)
    monkeypatch.setattr(
        references,
        "likeness_of",
        lambda person, *rest: Likeness((LEFT if person.name == "alice" else RIGHT,), 0.0, 1.0),
    )
    return halves


def test_regions_are_kept_and_a_replay_repeats_them_bit_for_bit(faceid, bob) -> None:
    prompt = "<alice> smiling and <bob> with eyes closed, at night"
    answer = faceid("compose", "alice", "bob", prompt, "--seed", 5, *GRID, "--show-layout", "--json")
    assert answer.code == 0, answer.err
    settings = answer.data["renders"][0]["settings"]
    assert (settings["layout"], settings["region"]) == (
        "left-right",
        ["alice=0.01,0.1,0.49,1", "bob=0.51,0.1,0.99,1"],
    )
    assert np.array_equal(pixels(faceid("replay", "alice-bob.png", "-q").out.strip()), pixels("alice-bob.png"))
    again = shlex.split(settings["command"])
    assert faceid(*again[1:], "-o", "again.png").code == 0
    assert np.array_equal(pixels("again.png"), pixels("alice-bob.png"))
    assert (
        faceid("compose", "alice", "bob", prompt, "--seed", 5, "--layout", "none", *CHEAP, "-o", "none.png").code == 0
    )
    assert not np.array_equal(pixels("none.png"), pixels("alice-bob.png"))
    drawn = pixels("alice-bob-layout.png")
    assert max(drawn.shape) >= 512
    assert "who was where" in answer.err


def test_people_change_places_with_their_regions(faceid, bob, tmp_path) -> None:
    layout = tmp_path / "places.json"
    layout.write_text(json.dumps({"bob": [0, 0, 0.5, 1], "alice": [0.5, 0, 1, 1]}))
    words = ("compose", "alice", "bob", "<alice> smiling and <bob> old", "--seed", 1, *CHEAP)
    assert faceid(*words, "--layout", layout, "-o", "file.png").code == 0
    flags = ("--region", "alice=0.5,0,1,1", "--region", "bob=0,0,0.5,1")
    assert faceid(*words, *flags, "-o", "flags.png").code == 0
    assert faceid(*words, "--region", "bob=0.5,0,1,1", "--region", "alice=0,0,0.5,1", "-o", "other.png").code == 0
    assert np.array_equal(pixels("file.png"), pixels("flags.png"))
    assert not np.array_equal(pixels("file.png"), pixels("other.png"))


def test_without_a_face_finder_people_stand_side_by_side_and_that_is_told(faceid, bob) -> None:
    answer = faceid("compose", "alice", "bob", "at night", "--seed", 1, *CHEAP)
    assert answer.code == 0, answer.err
    assert "people stand side by side, since faces cannot be found" in answer.err
    metadata = read_metadata(Path("alice-bob.png"))
    assert metadata is not None
    assert (metadata.layout, metadata.region) == ("auto", ("alice=0.01,0.1,0.49,1", "bob=0.51,0.1,0.99,1"))


def test_somebody_without_a_name_may_stand_beside_one_with_a_name(faceid, alice) -> None:
    answer = faceid("compose", "alice", "<alice> and an old man", "--seed", 1, *GRID)
    assert answer.code == 0, answer.err
    metadata = read_metadata(Path("alice.png"))
    assert metadata is not None
    assert metadata.region == ("alice=0.01,0.1,0.49,1", "2=0.51,0.1,0.99,1")
    assert faceid("replay", "alice.png", "--json").data["equal"] is True


def test_weights_that_regions_leave_out_are_told(faceid, bob) -> None:
    words = ("compose", "alice", "bob", "<alice> (smiling:1.3) and <bob>", "--seed", 1, *CHEAP)
    told = "weights in the prompt count for nothing where people have regions"
    assert told in faceid(*words, "--layout", "left-right").err
    assert told not in faceid(*words, "--layout", "none").err


def test_each_person_may_have_a_likeness_of_their_own(faceid, bob) -> None:
    words = ("compose", "alice", "bob", "at night", "--seed", 1, *GRID)
    for likeness in ("1", "alice=0.2", "bob=0.2", "0.2,alice=1"):
        assert faceid(*words, "--likeness", likeness, "-o", f"{likeness}.png").code == 0
    assert not np.array_equal(pixels("1.png"), pixels("alice=0.2.png"))
    assert not np.array_equal(pixels("bob=0.2.png"), pixels("alice=0.2.png"))
    assert np.array_equal(pixels("bob=0.2.png"), pixels("0.2,alice=1.png"))
    assert faceid("replay", "alice=0.2.png", "--json").data["equal"] is True
    stranger = faceid(*words, "--likeness", "carol=0.2")
    assert (stranger.code, "carol has a likeness, and is not in the picture" in stranger.err) == (2, True)


def test_a_face_that_is_nobodys_is_rendered_again_and_the_rest_stays(faceid, bob, judge) -> None:
    words = ("compose", "alice", "bob", "at night", "--seed", 3, *GRID)
    found = faceid(*words, "-o", "first.png", "--json")
    assert "alice is hardly to be recognised (0.10)" in found.err
    assert found.data["renders"][0]["settings"]["likenesses"] == {"alice": 0.1, "bob": 1.0}
    judge.first.clear()
    answer = faceid(*words, "--repair", 2, "-o", "second.png")
    assert answer.code == 0, answer.err
    assert answer.out == "second.png  seed 3  alike: alice 0.90, bob 1.00\n"
    metadata = read_metadata(Path("second.png"))
    assert metadata is not None
    assert (metadata.repaired, metadata.likenesses) == (("alice",), {"alice": 0.9, "bob": 1.0})
    changed = np.abs(pixels("first.png") - pixels("second.png")).max(axis=2) > 0
    assert changed.any()
    assert not changed[:, changed.shape[1] // 2 :].any(), "bob stays bit for bit"
    judge.first.clear()
    assert faceid("replay", "second.png", "--json").data["equal"] is True


def test_repairs_need_something_to_compare_with(faceid, bob) -> None:
    answer = faceid("compose", "alice", "bob", "x", "--repair", 1, *GRID)
    assert answer.code != 0
    assert "error: " in answer.err
    assert not Path("alice-bob.png").exists()


def test_rows_of_a_batch_have_likenesses_of_their_own(faceid, bob) -> None:
    Path("jobs.csv").write_text(
        "names,prompt,layout,seed,likeness\nalice+bob,at night,none,1,alice=0.2\nalice+bob,at night,none,1,alice=1\n",
        encoding="utf-8",
    )
    assert faceid("batch", "jobs.csv", "-o", "out/{index}.png", *CHEAP).code == 0
    assert not np.array_equal(pixels("out/1.png"), pixels("out/2.png"))


def test_a_likeness_is_said_anew_as_a_whole(faceid, alice) -> None:
    """One number takes the place of alice's own, and the other way round: in a row, a grid, and a change."""
    words = ("cup", "--seed", 1, *CHEAP)
    for likeness in (0.1, 0.4, 0.9):
        assert faceid("generate", "alice", *words, "--likeness", likeness, "-o", f"{likeness}.png").code == 0
    Path("jobs.csv").write_text("name,prompt,seed,likeness\nalice,cup,1,0.9\nalice,cup,1,alice=0.1\nalice,cup,1,\n")
    for number, common in enumerate(("alice=0.4", "0.4")):
        answer = faceid(
            "batch", "jobs.csv", "--likeness", common, "--batch", 1, *CHEAP, "-o", f"{number}/{{index}}.png"
        )
        assert answer.code == 0, answer.err
        for index, likeness in enumerate((0.9, 0.1, 0.4), 1):
            assert np.array_equal(pixels(f"{number}/{index}.png"), pixels(f"{likeness}.png")), (common, likeness)
    answer = faceid(
        "generate",
        "alice",
        *words,
        "--likeness",
        "alice=0.4",
        "--grid",
        "likeness=0.1,0.9",
        "--batch",
        1,
        "-o",
        "g",
        "--json",
    )
    assert answer.code == 0, answer.err
    files = [each["file"] for each in map(json.loads, answer.out.splitlines()) if each.get("file", "").endswith(".png")]
    assert np.array_equal(pixels(files[0]), pixels("0.1.png"))
    assert np.array_equal(pixels(files[1]), pixels("0.9.png"))
    assert faceid("generate", "alice", *words, "--likeness", "alice=0.4", "-o", "own.png").code == 0
    assert faceid("replay", "own.png", "--change", "likeness=0.9", "-o", "changed.png").code == 0
    assert np.array_equal(pixels("changed.png"), pixels("0.9.png"))


def test_one_side_of_the_likeness_is_said_beside_that_of_a_person(faceid, alice) -> None:
    words = ("generate", "alice", "cup", "--seed", 1, *CHEAP)
    for number, likeness in enumerate(("0.4", "alice=0.4")):
        assert faceid(*words, "--likeness", likeness, "--likeness-k", 0.1, "-o", f"{number}.png").code == 0
    assert faceid(*words, "--likeness", 0.4, "-o", "both.png").code == 0
    assert np.array_equal(pixels("0.png"), pixels("1.png"))
    assert not np.array_equal(pixels("0.png"), pixels("both.png"))


def test_nobody_has_two_likenesses(faceid, alice) -> None:
    answer = faceid("generate", "alice", "cup", "--likeness", "alice=0.4,alice=1.9", *CHEAP)
    assert (answer.code, "says a likeness twice" in answer.err) == (2, True)


def test_regions_are_said_once_or_alike(faceid, bob) -> None:
    words = ("compose", "alice", "bob", "at night", "--seed", 1, *CHEAP, "--layout", "left-right")
    assert faceid(*words, "-o", "a.png").code == 0
    region = read_metadata(Path("a.png")).region
    alike = faceid(*words, *(word for text in region for word in ("--region", text)), "-o", "b.png")
    assert alike.code == 0, alike.err
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    other = faceid(*words, "--region", "alice=0,0,0.4,1", "--region", "bob=0.6,0,1,1")
    assert (other.code, "regions are given twice" in other.err) == (2, True)


def test_there_is_no_layout_to_show_without_regions(faceid, bob) -> None:
    answer = faceid("compose", "alice", "bob", "at night", "--layout", "none", "--show-layout", *CHEAP)
    assert (answer.code, "--show-layout draws regions" in answer.err) == (2, True)


def test_what_changes_nothing_is_told_but_not_of_the_users_own_defaults(faceid, alice) -> None:
    words = ("generate", "alice", "cup", "--seed", 1, *CHEAP, "-o", "a.png")
    assert "--strength changes nothing without --init or --into" in faceid(*words, "--strength", 0.3).err
    assert faceid("config", "set", "strength", 0.3).code == 0
    assert "changes nothing" not in faceid(*words).err


def test_rows_of_a_batch_have_layouts_of_their_own(faceid, bob) -> None:
    Path("jobs.csv").write_text(
        "names,prompt,layout,seed\n"
        "alice+bob,at night,left-right,1\nalice+bob,a cup,none,2\nalice+bob,at night,triple,3\n",
        encoding="utf-8",
    )
    answer = faceid("batch", "jobs.csv", "-o", "out/{index}.png", *CHEAP)
    assert answer.code == 0, answer.err
    for number, layout in enumerate(("left-right", "none", "triple"), 1):
        metadata = read_metadata(Path(f"out/{number}.png"))
        assert metadata is not None
        assert metadata.layout == layout
        words = ("compose", "alice", "bob", metadata.prompt, "--seed", metadata.seed, "--layout", layout, *CHEAP)
        assert faceid(*words, "-o", f"{number}.png").code == 0
        assert np.abs(pixels(f"{number}.png") - pixels(f"out/{number}.png")).max() <= 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("alice", "nobody", "x"), "nobody"),
        (("alice", "alice", "x"), "alice is given more than once"),
        (("alice", "bob", "<alice> smiling"), "the prompt leaves out <bob>"),
        (("alice", "bob", "x", "--layout", "circle"), "unknown layout 'circle'"),
        (("alice", "bob", "<alice>, <bob> and a man", "--layout", "left-right"), "the layout left-right has 2 regions"),
        (("alice", "bob", "x", "--region", "alice=0,0,1,1", "--region", "bob=0,0,1,1"), "have the same region"),
        (("alice", "bob", "x", "--region", "alice=0,0,1,1"), "bob has none"),
        (("alice", "bob", "x", "--region", "alice=0,0,2,1"), "not in the picture"),
        (("alice", "x"), "compose needs two or more names and a prompt"),
        (("alice", "bob", "<alice>, <bob>, a man, a woman and a boy"), "no more than 4 can be kept apart"),
    ],
)
def test_what_cannot_be_meant_is_one_line(faceid, bob, words: tuple[str, ...], message: str) -> None:
    answer = faceid("compose", *words, *CHEAP)
    assert answer.code in (2, 3, 4), answer.err
    assert message in answer.err
    assert "Traceback" not in answer.err

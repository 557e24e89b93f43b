"""`--min-likeness X --tries N`: pictures that are not like the person are put aside, and another seed is tried."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceid_cli.errors import UsageError
from faceid_cli.evaluation import judging, threshold
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.threshold import Threshold
from faceid_cli.orders.checks import least_likeness
from faceid_cli.rendering.metadata import read_metadata
from faceid_cli.types import Box, Face

CHEAP = ("--device", "cpu", "--precision", "float32", "--steps", 1)


@dataclass
class ByOrder:
    """A judge whose scores are given, one for each picture that it is shown."""

    scores: list[float]
    seen: list[bytes] = field(default_factory=list)

    def find_faces(self, image: Image.Image) -> list[Face]:
        return [Face(Box(0, 0, 10, 10), (), 1.0)]

    def embed(self, image: Image.Image, face: Face) -> np.ndarray:
        self.seen.append(image.tobytes())
        score = self.scores[min(len(self.seen), len(self.scores)) - 1]
        return np.array([score, np.sqrt(1 - score**2)])


@pytest.fixture
def judged(monkeypatch):
    """Let a judge give these scores."""

    def use(*scores: float) -> ByOrder:
        judge = ByOrder(list(scores))
        monkeypatch.setattr(judging, "picture_judge", lambda *rest, **named: judge)
        likeness = Likeness((np.array([1.0, 0.0]),), 0.0, 0.8)
        monkeypatch.setattr(threshold, "likeness_of", lambda *rest: likeness)
        return judge

    return use


def test_another_seed_is_tried_and_the_others_are_put_aside_with_their_scores(faceid, alice, judged) -> None:
    judge = judged(0.2, 0.3, 0.9)
    answer = faceid("generate", "alice", "cup", "--min-likeness", 0.5, "--seed", 1, "-o", "out", "--json", *CHEAP)
    assert answer.code == 0, answer.err
    (made,) = answer.data["renders"]
    assert made["file"] == "out/alice.png"
    metadata = read_metadata(Path("out/alice.png"))
    assert (metadata.similarity, metadata.seed, made["seed"]) == (0.9, 2_000_007, 2_000_007)
    assert sorted(path.name for path in Path("out/rejected").iterdir()) == ["alice-0.20.png", "alice-0.30.png"]
    assert read_metadata(Path("out/rejected/alice-0.20.png")).similarity == 0.2
    assert "0.20, to the person's photos" in faceid("info", "out/rejected/alice-0.20.png").out
    assert len(judge.seen) == 3
    same = faceid("generate", "alice", "cup", "--seed", 2_000_007, "-o", "same.png", *CHEAP)
    assert same.code == 0
    with Image.open("same.png") as first, Image.open("out/alice.png") as second:
        assert first.tobytes() == second.tobytes()


def test_when_no_seed_is_left_the_command_fails_and_says_how_near_it_came(faceid, alice, judged) -> None:
    judged(0.9, 0.1, 0.2)
    words = ("generate", "alice", "cup", "--min-likeness", 0.5, "--tries", 2, "--seed", 1, "-n", 2, "-o", "out", *CHEAP)
    answer = faceid(*words)
    assert answer.code == 1
    assert "no picture of alice reached 0.5 with 2 seeds; the last had 0.20; 1 picture is finished" in answer.err
    assert [path.name for path in Path("out").glob("*.png")] == ["alice-1.png"]
    again = faceid(*words)
    assert again.code == 1
    assert len(list(Path("out").rglob("*.png"))) == 3, "what was tried is not tried again"


def test_a_batch_goes_on_where_it_stopped_also_among_seeds(faceid, alice, judged) -> None:
    judge = judged(0.1, 0.9, 0.9)
    Path("p.csv").write_text("prompt,seed\ncup,1\nnight,2\n", encoding="utf-8")
    words = ("batch", "p.csv", "--for", "alice", "--min-likeness", "50%", "-o", "out", "--batch", 1, "--json", *CHEAP)
    first = [json.loads(line)["status"] for line in faceid(*words).out.splitlines()]
    assert sorted(first) == ["done", "rejected", "rendered", "rendered"]
    again = [json.loads(line)["status"] for line in faceid(*words).out.splitlines()]
    assert again == ["there", "there", "done"]
    assert len(judge.seen) == 3


def test_of_several_people_each_has_to_be_there() -> None:
    class Two(ByOrder):
        def find_faces(self, image: Image.Image) -> list[Face]:
            return [Face(Box(x, 0, 10, 10), (), 1.0) for x in range(int(self.scores[0]))]

        def embed(self, image: Image.Image, face: Face) -> np.ndarray:
            return np.eye(2)[int(face.box.x)]

    image = Image.new("RGB", (8, 8))
    for faces, expected in ((2, 1.0), (1, 0.0), (0, 0.0)):
        measured = Threshold.__new__(Threshold)
        measured._judge, measured._least, measured._in_percent = Two([faces]), 0.5, False
        measured._likenesses = [Likeness((np.eye(2)[person],), 0.0, None) for person in (1, 0)]
        alike = measured.score(image)
        assert (alike.similarity, alike.is_enough) == (expected, faces == 2)


@pytest.mark.parametrize("text", ["much", "2", "500%", "", "nan"])
def test_what_is_no_likeness_is_refused(text) -> None:
    with pytest.raises(UsageError, match="the least likeness is"):
        least_likeness(text)


def test_a_similarity_or_percent() -> None:
    assert least_likeness("0.5") == (0.5, False)
    assert least_likeness(" 70% ") == (70.0, True)


def test_a_picture_that_had_to_be_like_the_person_is_of_the_kind_and_the_origin_that_any_other_is(
    faceid, alice, judged
) -> None:
    judged(0.9)
    words = ("generate", "alice", "cup", "--min-likeness", 0.5, "--seed", 1, "--format", "jpeg", "-o", "out", *CHEAP)
    assert faceid(*words).code == 0
    (picture,) = Path("out").iterdir()
    metadata = read_metadata(picture)
    assert picture.name == "alice.jpg"
    assert metadata is not None
    assert metadata.similarity == 0.9
    assert metadata.identity_hashes.keys() == {"alice"}
    assert len(metadata.pixels) == 64

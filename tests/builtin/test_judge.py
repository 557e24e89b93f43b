"""The judge, on drawings and people it has never seen. `pretrain.judge_check` measures it at length."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli.builtin.draw import Drawing, Figure, Picture, draw
from faceid_cli.builtin.judge import Judge, alignment, overlap
from faceid_cli.builtin.pretrain.judge_check import (
    blurred,
    concepts,
    detection,
    held_out_drawings,
    person_drawings,
    person_faces,
    verification_auc,
)
from faceid_cli.builtin.samples import photo_set, unseen_person
from faceid_cli.builtin.vocabulary import ALL_SCENES, ATTRIBUTES, OBJECTS
from faceid_cli.errors import WeightsMissingError
from faceid_cli.kept.paths import builtin_judge_file


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load()


@pytest.fixture(scope="module")
def drawings() -> list[Drawing]:
    return held_out_drawings(40)


def test_loading_leaves_the_random_state_of_the_caller_alone() -> None:
    before = torch.get_rng_state()
    Judge.load(builtin_judge_file())
    assert torch.equal(torch.get_rng_state(), before)


def test_faces_of_held_out_drawings_are_found(judge: Judge, drawings: list[Drawing]) -> None:
    counts = detection(judge, drawings)
    assert counts.right / counts.true >= 0.98
    assert counts.right / counts.found >= 0.98


def test_faces_of_blurred_drawings_are_found(judge: Judge, drawings: list[Drawing]) -> None:
    counts = detection(judge, drawings, blurred(1.2))
    assert counts.right / counts.true >= 0.95
    assert counts.right / counts.found >= 0.95


def test_people_are_told_apart(judge: Judge) -> None:
    faces = person_faces(judge, person_drawings(20))
    assert verification_auc(faces) >= 0.99
    assert verification_auc(faces, only_changed=True) >= 0.99


def test_concepts_are_recognised(judge: Judge, drawings: list[Drawing]) -> None:
    figures = concepts(judge, drawings)
    assert set(figures) >= {"scenes", "objects, hits", "objects, rejections", "attributes, hits"}
    assert min(figures.values()) >= 0.95


def test_every_word_of_the_vocabulary_gets_a_probability(judge: Judge) -> None:
    figure = Figure(unseen_person(9), attributes=frozenset({"cap", "eyes closed"}), held="basketball")
    drawing = draw(Picture((figure,), "eiffel tower"), 256)
    scenes, objects = judge.scenes(drawing.image), judge.objects(drawing.image)
    (face,) = judge.find_faces(drawing.image)
    attributes = judge.attributes(drawing.image, face)
    assert (tuple(scenes), tuple(objects), tuple(attributes)) == (ALL_SCENES, OBJECTS, ATTRIBUTES)
    assert sum(scenes.values()) == pytest.approx(1, abs=1e-4)
    assert scenes["eiffel tower"] > 0.5
    assert [word for word, chance in objects.items() if chance > 0.5] == ["basketball"]
    assert {word for word, chance in attributes.items() if chance > 0.5} == {"cap", "eyes closed"}


@pytest.mark.parametrize(("width", "height"), [(512, 512), (300, 200), (96, 160)])
def test_faces_are_found_in_pictures_of_any_size(judge: Judge, width: int, height: int) -> None:
    side = min(width, height)
    drawing = draw(photo_set(4, 1, 0, 128)[0].picture, side)
    image = Image.new("RGB", (width, height), (120, 160, 190))
    left, top = (width - side) // 2, (height - side) // 2
    image.paste(drawing.image, (left, top))
    (found,) = judge.find_faces(image)
    true = drawing.faces[0]
    shifted = [(x + left, y + top) for x, y in true.landmarks]
    assert np.abs(np.array(found.landmarks) - shifted).max() < 0.15 * true.box.width
    embedding = judge.embed(image, found)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


def test_no_face_is_found_where_there_is_none(judge: Judge) -> None:
    assert judge.find_faces(Image.new("RGB", (128, 128), (90, 140, 200))) == []


def test_alignment_undoes_a_turn_and_a_zoom() -> None:
    from faceid_cli.builtin.judge import TEMPLATE

    angle = np.deg2rad(20)
    turn = 1.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = TEMPLATE @ turn.T + np.array([11.0, -4.0])
    matrix = alignment(points)
    assert TEMPLATE @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(points, abs=1e-6)


def test_boxes_overlap_by_intersection_over_union() -> None:
    from faceid_cli.types import Box

    assert overlap(Box(0, 0, 2, 2), Box(1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert overlap(Box(0, 0, 2, 2), Box(5, 5, 2, 2)) == 0


def test_missing_weights_are_a_clear_error(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WeightsMissingError, match=r"judge's weights are missing: .*none\.safetensors"):
        Judge.load(tmp_path / "none.safetensors")


def test_a_long_strip_takes_no_more_than_a_photo():
    """In a process of its own: what a process took at most never becomes less."""
    code = """
import resource
from PIL import Image
from faceid_cli.builtin.judge import Judge

judge = Judge.load()
judge.find_faces(Image.new("RGB", (4000, 3000)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert judge.find_faces(Image.new("RGB", (40_000, 40))) == []
judge.find_faces(Image.new("RGB", (1080, 20_000)))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200


@pytest.mark.parametrize("thing", ["basketball", "book", "apple"])
def test_things_are_counted_where_they_are(judge: Judge, thing: str) -> None:
    left, right = (
        Figure(unseen_person(number), x=x, scale=0.7, held=thing, hand=hand)
        for number, x, hand in ((0, 34.0, -1), (1, 94.0, 1))
    )
    nobody = replace(left, held=None), replace(right, held=None)
    for figures, number in ((nobody, 0), ((left, nobody[1]), 1), ((left, right), 2)):
        assert judge.count(draw(Picture(figures, "beach"), 256).image, thing) == number

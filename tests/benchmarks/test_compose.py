"""benchmarks/compose.py: groups, scores of drawings whose truth is known, and the tables."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from PIL import Image

from benchmarks.compose import ALIKE, PAIRS, PEOPLE, PROMPTS, TRIPLES, WAYS, groups, numbers
from benchmarks.composed_prompts import Asked
from benchmarks.composed_scores import Score, aligned_face, score_picture
from benchmarks.composed_tables import tables
from benchmarks.trial import reference_likeness
from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.draw.picture import Figure, Picture
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.samples import unseen_person
from faceid_cli.evaluation.judges import DrawnJudge


def drawn(*people: int, attributes: tuple[frozenset[str], ...] = (frozenset(), frozenset())) -> Image.Image:
    figures = tuple(
        Figure(unseen_person(person), x, 52.0, 0.7, 0.0, 0.0, has, "sweater", "blue")
        for person, x, has in zip(people, (36.0, 92.0), attributes, strict=True)
    )
    return draw(Picture(figures, "beach", "daylight", None, 64.0, 1), 256).image


@pytest.fixture(scope="module")
def judges() -> tuple[DrawnJudge, Judge]:
    networks = Judge.load()
    return DrawnJudge(networks), networks


def test_people_in_their_places_are_right_and_others_are_not(judges) -> None:
    judge, networks = judges
    people = {str(person): reference_likeness(judge, person) for person in (3, 8)}
    asked = Asked("", "beach", "", ("cap", "smiling"))
    caps = (frozenset({"cap"}), frozenset({"smiling"}))
    score = score_picture(judge, networks, drawn(3, 8, attributes=caps), people, asked)
    assert (score.faces, score.is_right, score.swaps, score.obeyed) == (2, True, 0.0, 1.0)
    assert score.confusion is not None
    assert score.confusion > 0.5
    changed_places = score_picture(judge, networks, drawn(8, 3), people, asked)
    assert (changed_places.is_right, changed_places.are_right) == (False, (False, False))
    twice = score_picture(judge, networks, drawn(3, 3), people, asked)
    assert not twice.is_right
    both = (frozenset({"cap", "smiling"}), frozenset({"cap", "smiling"}))
    assert score_picture(judge, networks, drawn(3, 8, attributes=both), people, asked).swaps == 1.0
    empty = score_picture(judge, networks, Image.new("RGB", (256, 256)), people, asked)
    assert (empty.faces, empty.is_right, empty.confusion) == (0, False, None)


def test_a_pasted_photo_is_seen_by_its_pixels(judges) -> None:
    judge, networks = judges
    people = {"3": reference_likeness(judge, 3), "8": reference_likeness(judge, 8)}
    pasted, other = drawn(3, 8), drawn(3, 8, attributes=(frozenset({"smiling"}), frozenset({"mouth open"})))
    faces = judge.find_faces(pasted)
    photos = {name: [aligned_face(pasted, face)] for name, face in zip(people, faces, strict=True)}
    copied = score_picture(judge, networks, pasted, people, Asked(""), photos).copies
    assert min(copied) > 0.99
    assert max(score_picture(judge, networks, other, people, Asked(""), photos).copies) < 0.98


def test_groups_are_as_many_as_promised_of_different_people_and_alike_ones_come_first() -> None:
    found = groups()
    assert (len(found[2]), len(found[3])) == (PAIRS, TRIPLES)
    for group in (*found[2], *found[3]):
        assert len(set(group)) == len(group)
        assert max(group) < PEOPLE
    assert len({tuple(sorted(pair)) for pair in found[2][:ALIKE]}) == ALIKE
    assert found is groups()


def test_prompts_name_everybody_and_attributes_one_by_one() -> None:
    for size, prompts in PROMPTS.items():
        assert len(prompts) == 10
        for asked in prompts:
            assert all(f"{{{place}}}" in asked.text for place in range(size))
            assert len(asked.attributes) in (0, size)


def test_tables_count_pictures_by_group_and_tell_whether_goals_are_met() -> None:
    def record(way: str, number: int, is_right: bool, swaps: float) -> dict[str, object]:
        score = Score(2, (is_right, True), is_right, (0.6, 0.7), 0.8, 0.0, swaps, 1.0, 2)
        key = {"base": "b", "judge": "j", "prompts": "p", "sampler": [20], "way": way, "people": [number]}
        return {"key": key, "group": [2, number], "scores": [asdict(score)] * 2}

    records = [record("regions", n, True, 0.0) for n in range(12)] + [record("plain", n, n < 3, 0.5) for n in range(12)]
    text = tables(records, {name: way.label for name, way in WAYS.items()}, ALIKE)
    assert "| faceid compose | 12 | 1.00 (1.00 to 1.00) | 1.00 |" in text
    assert "| faceid compose | 10 |" in text
    assert "- met: all 2 right in 0.85 of pictures: 1.00" in text
    assert "- met: plain prompting of 2 people less than half of that: 0.25" in text
    assert tables([], {}, ALIKE).startswith("nothing is measured")


def test_ranges_are_read() -> None:
    assert numbers("0-2,5") == (0, 1, 2, 5)
    assert numbers("") == ()

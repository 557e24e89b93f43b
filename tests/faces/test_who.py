"""faces/who.py: the one person whom the photos show."""

from __future__ import annotations

import numpy as np
import pytest

from faceid_cli.faces.who import Choice, PhotoFaces, choose_person
from faceid_cli.types import Box, Face

ALICE, BOB, CAROL = np.eye(3, dtype=np.float32)
SAME = 0.5


def near(person: np.ndarray, seed: int) -> np.ndarray:
    """Another photo's embedding of a person."""
    moved = person + np.random.default_rng(seed).normal(0, 0.1, 3)
    return (moved / np.linalg.norm(moved)).astype(np.float32)


def photo(*people: np.ndarray, heights: tuple[float, ...] = (), compared: bool = True) -> PhotoFaces:
    sizes = heights or (100.0,) * len(people)
    faces = tuple(Face(Box(200.0 * place, 0, size, size), (), 1.0) for place, size in enumerate(sizes))
    return PhotoFaces(faces, tuple(near(person, place) for place, person in enumerate(people)) if compared else ())


def chosen(*photos: PhotoFaces) -> list[int | str | None]:
    choices = choose_person(photos, SAME).choices
    return [choice.reason if choice.face is None else choice.face for choice in choices]


def test_who_appears_in_most_photos_is_meant() -> None:
    assert chosen(photo(ALICE, BOB), photo(CAROL, ALICE), photo(BOB, CAROL, ALICE), photo(ALICE)) == [0, 1, 2, 0]


def test_another_person_by_mistake_is_left_out() -> None:
    assert chosen(photo(ALICE), photo(BOB), photo(ALICE), photo(ALICE)) == [0, "other", 0, 0]


def test_two_people_together_are_told_apart_by_a_photo_of_one_alone() -> None:
    assert chosen(photo(ALICE, BOB), photo(BOB, ALICE), photo(ALICE)) == [0, 1, 0]
    prominent = photo(BOB, ALICE, heights=(40, 120))
    assert chosen(photo(ALICE, BOB), photo(BOB, ALICE), prominent) == [0, 1, 1]


def test_always_together_stays_unclear() -> None:
    assert chosen(photo(ALICE, BOB), photo(ALICE, BOB)) == ["unclear", "unclear"]
    assert chosen(photo(ALICE, BOB)) == ["unclear"]


def test_people_in_the_background_do_not_make_a_single_photo_unclear() -> None:
    assert chosen(photo(BOB, ALICE, heights=(30, 100))) == [1]


def test_photos_of_nobody_twice_are_used_with_doubt() -> None:
    result = choose_person([photo(ALICE), photo(BOB)], SAME)
    assert result.choices == (Choice(0), Choice(0))
    assert result.doubtful
    assert not choose_person([photo(ALICE)], SAME).doubtful


def test_as_many_photos_of_one_as_of_another_are_used_with_doubt() -> None:
    result = choose_person([photo(ALICE), photo(ALICE), photo(BOB), photo(BOB)], SAME)
    assert [choice.face for choice in result.choices] == [0, 0, 0, 0]
    assert result.doubtful


@pytest.mark.parametrize(("heights", "expected"), [((100.0, 90.0), "unclear"), ((100.0, 30.0), 0)])
def test_without_comparing_only_clear_photos_count(heights: tuple[float, float], expected: int | str) -> None:
    assert chosen(photo(ALICE, compared=False), photo(ALICE, BOB, heights=heights, compared=False)) == [0, expected]

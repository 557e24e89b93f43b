"""rendering/prompts.py: where people stand in a prompt."""

from __future__ import annotations

import subprocess
import sys

import pytest

from faceid_cli.errors import UsageError
from faceid_cli.rendering.prompts import people_in, place_people


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("holding a basketball, Eiffel Tower", "a photo of <alice> holding a basketball, Eiffel Tower"),
        ("on the beach", "a photo of <alice> on the beach"),
        ("In Paris", "a photo of <alice> In Paris"),
        ("wearing, well, a hat", "a photo of <alice> wearing, well, a hat"),
        ("oil painting, dark", "a photo of <alice>, oil painting, dark"),
        ("eyes closed, mountains", "a photo of <alice>, eyes closed, mountains"),
        ("painting by an old master", "a photo of <alice>, painting by an old master"),
        ("king of the hill", "a photo of <alice>, king of the hill"),
        ("evening light", "a photo of <alice>, evening light"),
        ("", "a photo of <alice>"),
        ("  , smiling\n  on a  bench ", "a photo of <alice> smiling on a bench"),
    ],
)
def test_unmarked_prompts_become_one_sentence(prompt: str, expected: str) -> None:
    assert place_people(prompt, ["alice"]) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("{name} at sea", "<alice> at sea"),
        ("{ name } at sea", "<alice> at sea"),
        ("<alice> at sea", "<alice> at sea"),
        ("{alice} at sea", "<alice> at sea"),
        ("<name>, twice {alice}", "<alice>, twice <alice>"),
        ("I <3 <alice> and 2 > 1", "I <3 <alice> and 2 > 1"),
    ],
)
def test_marks_become_placeholders(prompt: str, expected: str) -> None:
    assert place_people(prompt, ["alice"]) == expected


def test_several_people() -> None:
    prompt = "playing chess on the beach"
    assert place_people(prompt, ["alice", "bob"]) == "a photo of <alice> and <bob> playing chess on the beach"
    assert place_people("at home", ["a", "b", "c"]) == "a photo of <a>, <b> and <c> at home"
    assert place_people("{bob} beside <alice>", ["alice", "bob"]) == "<bob> beside <alice>"


def test_a_person_called_name_is_that_person() -> None:
    assert place_people("{name} and <bob>", ["name", "bob"]) == "<name> and <bob>"


def test_normalising_twice_changes_nothing() -> None:
    once = place_people("{a} and <b>", ["a", "b"])
    assert place_people(once, ["a", "b"]) == once


def test_names_in_order_of_appearance() -> None:
    assert people_in("<bob> with <alice> and <bob>") == ("bob", "alice")
    assert people_in("nobody") == ()


def test_unknown_marks_are_named() -> None:
    with pytest.raises(UsageError) as caught:
        place_people("<alcie> and {carol}", ["alice"])
    assert caught.value.message == "the prompt marks <alcie> and {carol}, which is none of the people of this picture"
    assert caught.value.hint == "did you mean <alice>?"
    with pytest.raises(UsageError) as caught:
        place_people("{red|blue} hair", ["alice"])
    assert caught.value.hint == "write <alice>; other words go without < > and { }"


def test_name_is_ambiguous_with_two_people() -> None:
    with pytest.raises(UsageError, match=r"marks {name}"):
        place_people("{name} at sea", ["alice", "bob"])


def test_people_must_not_be_left_out_or_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        place_people("<alice> at sea", ["alice", "bob", "carol"])
    assert caught.value.message == "the prompt leaves out <bob> and <carol>"
    with pytest.raises(UsageError, match=r"alice is given more than once"):
        place_people("at sea", ["alice", "alice"])
    with pytest.raises(UsageError, match=r"no person"):
        place_people("at sea", [])


def test_importing_it_does_not_import_torch() -> None:
    code = "import sys, faceid_cli.rendering.prompts, faceid_cli.rendering.metadata; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

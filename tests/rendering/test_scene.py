"""rendering/scene.py: what a prompt says of whom."""

from __future__ import annotations

import pytest

from faceid_cli.rendering.scene import read_scene

PEOPLE = {"alice": "woman", "bob": "man", "carol": "actor"}


def sentences(prompt: str) -> dict[str, str]:
    return {figure.name or figure.called: figure.sentence for figure in read_scene(prompt, PEOPLE).figures}


def test_attributes_stay_with_their_person_and_the_place_is_everybodys() -> None:
    prompt = "a photo of <alice> wearing a cap and <bob> with eyes closed, on the beach"
    assert read_scene(prompt, PEOPLE).common == (
        "a photo of a woman wearing a cap and a man with eyes closed, on the beach"
    )
    assert sentences(prompt) == {
        "alice": "a photo of <alice> wearing a cap and a man, on the beach",
        "bob": "a photo of a woman and <bob> with eyes closed, on the beach",
    }


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (
            "a photo of <alice> and <bob> playing chess",
            {
                "alice": "a photo of <alice> and a man playing chess",
                "bob": "a photo of a woman and <bob> playing chess",
            },
        ),
        (
            "<alice> smiling and <bob> in a red suit in a library",
            {
                "alice": "<alice> smiling and a man in a library",
                "bob": "a woman and <bob> in a red suit in a library",
            },
        ),
        (
            "<alice> hands a cup to <bob>, beach",
            {"alice": "<alice> hands a cup to a man, beach", "bob": "a woman and <bob>, beach"},
        ),
        (
            "<alice>, <bob> and <carol> smiling",
            {
                "alice": "<alice>, a man and an actor smiling",
                "bob": "a woman, <bob> and an actor smiling",
                "carol": "a woman, a man and <carol> smiling",
            },
        ),
        (
            "<alice> with a crown, <bob> and <carol> smiling, castle",
            {
                "alice": "<alice> with a crown, a man and an actor, castle",
                "bob": "a woman, <bob> and an actor smiling, castle",
                "carol": "a woman, a man and <carol> smiling, castle",
            },
        ),
    ],
)
def test_each_person_has_a_sentence_of_their_own(prompt: str, expected: dict[str, str]) -> None:
    assert sentences(prompt) == expected


def test_people_without_a_name_have_a_region_too_but_an_attribute_is_nobody() -> None:
    scene = read_scene("<alice> with a hat and an old man, in the snow", PEOPLE)
    assert [(figure.name, figure.sentence) for figure in scene.figures] == [
        ("alice", "<alice> with a hat and a man, in the snow"),
        ("", "a woman and an old man, in the snow"),
    ]
    assert scene.common == "a woman with a hat and an old man, in the snow"
    assert [figure.name for figure in read_scene("<alice> as an old person and <bob>", PEOPLE).figures] == [
        "alice",
        "bob",
    ]


def test_a_face_is_rendered_again_without_the_others() -> None:
    figures = read_scene("two people, <alice> wearing a cap and <bob> smiling, on the beach", PEOPLE).figures
    assert [figure.alone for figure in figures] == [
        "<alice> wearing a cap, on the beach",
        "<bob> smiling, on the beach",
    ]


def test_a_weight_across_several_people_is_left_out_and_other_marks_are_words() -> None:
    scene = read_scene("(<alice> smiling:1.2) and <bob> in <style>", PEOPLE)
    assert [figure.sentence for figure in scene.figures] == [
        "<alice> smiling and a man in <style>",
        "a woman and <bob> in <style>",
    ]


def test_a_prompt_of_nobody_has_nobody() -> None:
    assert read_scene("a castle", PEOPLE).figures == ()

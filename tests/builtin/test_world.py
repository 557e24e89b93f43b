"""The portrait world: pictures, their truth, and captions."""

from __future__ import annotations

import numpy as np
import pytest

from faceid_cli.builtin.captions import caption
from faceid_cli.builtin.draw import draw, face_mask
from faceid_cli.builtin.draw.picture import Figure, Picture
from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import TRAITS, person_from_seed
from faceid_cli.builtin.prompts import known_prompt, random_prompts
from faceid_cli.builtin.samples import FIRST_UNSEEN, photo_set, unseen_person
from faceid_cli.builtin.sampling import random_picture
from faceid_cli.builtin.vocabulary import ALL_SCENES, ATTRIBUTES, HELD_OBJECTS, ROSTER_SIZE


def pixels(picture: Picture, size_px: int = 128) -> np.ndarray:
    return np.asarray(draw(picture, size_px).image, dtype=np.int16)


@pytest.mark.parametrize("scene", ALL_SCENES)
def test_every_scene_looks_different_from_a_plain_wall(scene: str) -> None:
    figure = Figure(person_from_seed(1))
    difference = np.abs(pixels(Picture((figure,), scene)) - pixels(Picture((figure,), "plain wall", variant=3)))
    assert difference.mean() > 5


@pytest.mark.parametrize("word", HELD_OBJECTS)
def test_every_held_object_is_drawn(word: str) -> None:
    person = person_from_seed(2)
    empty, held = pixels(Picture((Figure(person),))), pixels(Picture((Figure(person, held=word),)))
    assert (np.abs(empty - held).max(-1) > 20).mean() > 0.01


@pytest.mark.parametrize("word", ATTRIBUTES)
def test_every_attribute_changes_the_head_and_nothing_else(word: str) -> None:
    person = next(p for p in map(person_from_seed, range(50)) if p.hair_style == "short" and p.beard == "none")
    figure, changed = Figure(person), Figure(person, attributes=frozenset({word}))
    difference = np.abs(pixels(Picture((figure,))) - pixels(Picture((changed,)))).max(-1) > 8
    assert difference.sum() > 40
    assert not difference[110:].any()


def test_a_face_box_holds_the_landmarks_and_the_mask() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        drawing = draw(random_picture([person_from_seed(seed)], rng), 256)
        face, figure = drawing.faces[0], drawing.picture.figures[0]
        left, top = face.box.x, face.box.y
        for x, y in face.landmarks:
            assert left < x < left + face.box.width
            assert top < y < top + face.box.height
        mask = np.asarray(face_mask(figure, 256)) > 127
        center = mask[round(face.box.center[1]), round(face.box.center[0])]
        assert center
        rows = np.flatnonzero(mask.any(1))
        assert abs(rows.max() - (top + face.box.height)) < 12


def test_pictures_and_people_are_the_same_for_the_same_seed() -> None:
    assert person_from_seed(5) == person_from_seed(5)
    assert person_from_seed(5) != person_from_seed(6)
    first, second = (photo_set(3, 2, 0, 128) for _ in range(2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))


def test_traits_make_a_vector_of_unit_scale() -> None:
    vectors = np.stack([person_from_seed(seed).vector() for seed in range(300)])
    assert vectors.shape == (300, TRAITS)
    assert np.abs(vectors).max() < 4
    assert len(np.unique(vectors, axis=0)) == 300


def test_samples_are_people_whom_training_never_sees() -> None:
    assert FIRST_UNSEEN > ROSTER_SIZE
    assert unseen_person(0) == person_from_seed(FIRST_UNSEEN)
    with pytest.raises(ValueError, match="numbered from 0"):
        unseen_person(-1)


def test_every_name_is_different_and_one_word() -> None:
    names = roster()
    assert len(set(names)) == ROSTER_SIZE
    assert all(name.isascii() and name.isalpha() and name.islower() for name in names)


def test_captions_say_what_is_shown_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    figure = Figure(person_from_seed(1), attributes=frozenset({"crown"}), held="guitar")
    texts = [caption(Picture((figure,), "castle"), ["anna"], rng) for _ in range(200)]
    said = {word: sum(word in text for text in texts) / len(texts) for word in ("anna", "crown", "guitar", "castle")}
    assert said["anna"] == 1
    assert min(said.values()) > 0.6
    assert len(set(texts)) > 60
    assert not any(word in text for text in texts for word in ("beach", "apple", "beard", "<", "{"))


def test_captions_of_several_people_tell_who_holds_the_thing() -> None:
    rng = np.random.default_rng(2)
    names = ["anna", "bertha", "carla"]
    behind_all = 0
    for holder in range(3):
        figures = tuple(Figure(person_from_seed(n), held="guitar" if n == holder else None) for n in range(3))
        for _ in range(100):
            text = caption(Picture(figures, "castle"), names, rng)
            if "guitar" not in text:
                continue
            named_before = [name for name in names if text.index(name) < text.index("guitar")]
            assert named_before[-1] == names[holder], text
            behind_all += holder == 2
            assert holder == 2 or "three" not in caption(Picture(figures, "castle"), [None] * 3, rng)
    assert behind_all > 80


def test_known_prompts_name_their_concepts() -> None:
    prompt = known_prompt("eiffel tower", "basketball")
    assert prompt.text.format("<a>") == "a photo of <a> holding a basketball in front of the eiffel tower"
    assert prompt.concepts == ("eiffel tower", "basketball")
    assert all(prompt.text.count("{}") == prompt.people for prompt in random_prompts(200, 1))

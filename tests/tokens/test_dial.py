"""tokens/dial.py, `--likeness` and its kin: between the class word and the person."""

from __future__ import annotations

import json

import pytest
import torch

from faceid_cli.errors import UsageError
from faceid_cli.orders import RenderConfig
from faceid_cli.orders.sampling import read_stages
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.metadata import from_json, parameters_text, to_json
from faceid_cli.rendering.record import metadata_of
from faceid_cli.tokens import ENCODER, class_embedding, dialled
from faceid_cli.types import IdentityTokens

PROMPT = "a photo of <x> on the beach"


@pytest.fixture
def woman(tiny_base) -> IdentityTokens:
    generator = torch.Generator().manual_seed(1)
    sides = [torch.randn(5, 1, tiny_base.text_width, generator=generator) for _ in "kv"]
    return IdentityTokens({ENCODER: sides[0]}, {ENCODER: sides[1]}, "woman")


def test_features_move_on_a_straight_line(tiny_base, woman) -> None:
    start = class_embedding(tiny_base, "woman")
    assert dialled(tiny_base, woman, 1.0) is woman
    assert torch.allclose(dialled(tiny_base, woman, 0.0).keys[ENCODER], start.expand(5, 1, -1))
    half = dialled(tiny_base, woman, 0.5)
    assert torch.allclose(half.values[ENCODER], (start + woman.values[ENCODER]) / 2, atol=1e-6)
    assert half.class_word == "woman"


def test_without_likeness_the_picture_is_the_class_words(tiny_base, woman) -> None:
    config = RenderConfig(steps=2, likeness=0.0)
    nobody = render(tiny_base, PROMPT, {"x": woman}, [1], config)[0]
    plain = render(tiny_base, "a photo of woman on the beach", {}, [1], RenderConfig(steps=2))[0]
    person = render(tiny_base, PROMPT, {"x": woman}, [1], RenderConfig(steps=2))[0]
    assert nobody.image.tobytes() == plain.image.tobytes()
    assert person.image.tobytes() != plain.image.tobytes()
    metadata = metadata_of(nobody)
    assert from_json(to_json(metadata)).likeness == 0
    assert "FaceID likeness: 0" in parameters_text(metadata)
    assert "likeness" not in parameters_text(metadata_of(person))


@pytest.mark.parametrize("likeness", [-0.1, 2.1, float("nan")])
def test_likeness_has_limits(likeness) -> None:
    with pytest.raises(UsageError, match="likeness is"):
        RenderConfig(likeness=likeness)


def test_keys_and_values_move_apart(tiny_base, woman) -> None:
    start = class_embedding(tiny_base, "woman").expand(5, 1, -1)
    only_values = dialled(tiny_base, woman, 0.0, 1.0)
    assert torch.allclose(only_values.keys[ENCODER], start)
    assert only_values.values[ENCODER] is woman.values[ENCODER], "where a dial stands at 1, no bit changes"
    only_keys = dialled(tiny_base, woman, 1.0, 0.25)
    assert only_keys.keys[ENCODER] is woman.keys[ENCODER]
    assert torch.allclose(only_keys.values[ENCODER], start + 0.25 * (woman.values[ENCODER] - start), atol=1e-6)


def test_stages_are_switched_off_one_by_one(tiny_base, woman) -> None:
    start = class_embedding(tiny_base, "woman")
    late = dialled(tiny_base, woman, 1.0, None, (2, 4))
    for side, own in ((late.keys, woman.keys), (late.values, woman.values)):
        for stage in range(5):
            expected = own[ENCODER][stage, 0] if stage + 1 in (2, 4) else start
            assert torch.equal(side[ENCODER][stage, 0], expected)
    assert dialled(tiny_base, woman, 1.0, 1.0, (1, 2, 3, 4, 5)) is woman
    with pytest.raises(UsageError, match="there is no stage 6: the person has 5 stages"):
        dialled(tiny_base, woman, 1.0, None, (2, 6))


def test_the_dials_reach_the_picture_and_its_metadata(tiny_base, woman) -> None:
    def rendered(**dials) -> tuple[bytes, object]:
        picture = render(tiny_base, PROMPT, {"x": woman}, [1], RenderConfig(steps=5, **dials))[0]
        return picture.image.tobytes(), metadata_of(picture)

    plain, keys, values, early, late = (
        rendered(**dials)
        for dials in ({}, {"likeness_keys": 0.0}, {"likeness_values": 0.0}, {"stages": (1,)}, {"stages": (2, 3, 4, 5)})
    )
    assert len({picture for picture, _ in (plain, keys, values, early, late)}) == 5
    assert rendered(likeness=0.3, likeness_keys=1.0, likeness_values=1.0)[0] == plain[0]
    assert rendered(stages=(1, 2, 3, 4, 5))[0] == plain[0]
    assert "FaceID likeness: 0 keys 1 values" in parameters_text(keys[1])
    assert "FaceID stages: 2 3 4 5" in parameters_text(late[1])
    assert "FaceID stages" not in parameters_text(plain[1])
    for _, metadata in (keys, late):
        assert from_json(to_json(metadata)) == metadata


@pytest.mark.parametrize("damage", [{"stages": ["1"]}, {"stages": 2}, {"likeness_keys": "much"}, {"chosen": 1}])
def test_dials_of_others_are_checked(tiny_base, woman, damage) -> None:
    metadata = metadata_of(render(tiny_base, PROMPT, {"x": woman}, [1], RenderConfig(steps=1))[0])
    assert from_json(json.dumps({**json.loads(to_json(metadata)), **damage})) is None


@pytest.mark.parametrize(
    ("text", "stages"), [("2-5", (2, 3, 4, 5)), ("1,3", (1, 3)), ("4, 1-2", (1, 2, 4)), ("3", (3,))]
)
def test_stages_on_the_command_line(text, stages) -> None:
    assert read_stages(text) == {"stages": stages}


@pytest.mark.parametrize("text", ["", "0", "5-2", "a", "1-", "-1", "1;2", "2-100000"])
def test_stages_that_cannot_be(text) -> None:
    with pytest.raises(UsageError, match="names no stages"):
        read_stages(text)


def test_dials_have_limits() -> None:
    with pytest.raises(UsageError, match="likeness of keys is 3"):
        RenderConfig(likeness_keys=3.0)
    with pytest.raises(UsageError, match="likeness of values is -1"):
        RenderConfig(likeness_values=-1.0)
    with pytest.raises(UsageError, match="there is no stage 0"):
        RenderConfig(stages=(0, 1))

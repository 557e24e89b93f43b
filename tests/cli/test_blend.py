"""`faceid blend`: somebody between two people."""

from __future__ import annotations

import numpy as np
import pytest

from faceid_cli.errors import UsageError
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.registry.store import Registry
from faceid_cli.tokens.blending import blended_side


def side(seed: int, stages: int = 5, length: float = 1.0) -> dict[str, np.ndarray]:
    vectors = np.random.default_rng(seed).normal(size=(stages, 1, 16))
    return {"text_encoder": (length * vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)}


def test_vectors_stay_on_the_sphere_and_the_ends_are_the_people_themselves() -> None:
    first, second = side(1), side(2)
    between = blended_side(first, second, 0.3)["text_encoder"]
    assert np.allclose(np.linalg.norm(between, axis=-1), 1, atol=1e-6)
    angles = [np.arccos(np.clip((between * each["text_encoder"]).sum(-1), -1, 1)) for each in (first, second)]
    assert np.allclose(angles[0] / (angles[0] + angles[1]), 0.3, atol=1e-5)
    for weight, person in ((0, first), (1, second)):
        assert np.array_equal(blended_side(first, second, weight)["text_encoder"], person["text_encoder"])
    longer = blended_side(first, side(2, length=3.0), 0.5)["text_encoder"]
    assert np.allclose(np.linalg.norm(longer, axis=-1), 2, atol=1e-6)
    assert np.allclose(blended_side(first, first, 0.5)["text_encoder"], first["text_encoder"], atol=1e-6)


def test_somebody_of_one_stage_counts_for_all_and_other_numbers_are_refused() -> None:
    assert blended_side(side(1), side(2, stages=1), 0.5)["text_encoder"].shape == (5, 1, 16)
    with pytest.raises(UsageError, match="other numbers of stages"):
        blended_side(side(1), side(2, stages=3), 0.5)


def test_a_blend_is_a_person_with_parents_and_their_consent(faceid, add_person) -> None:
    add_person("alice", consent="asked her", photo_hashes=("a" * 64,))
    add_person("bob", class_word="man", photo_hashes=("b" * 64,))
    answer = faceid("blend", "alice", "bob", "--weight", 0.25, "--name", "carol", "--json")
    assert answer.code == 0, answer.err
    assert "no consent is kept of bob" in answer.err
    person = answer.data["identity"]
    assert (person["class_word"], person["consent"]) == ("person", "alice: asked her")
    assert person["photo_hashes"] == ["a" * 64, "b" * 64]
    assert [parent["name"] for parent in person["method"]["parents"]] == ["alice", "bob"]
    assert (person["method"]["method"], person["method"]["weight"]) == ("blend", 0.25)
    with Registry.open() as registry:
        file = load_identity(registry.get("carol").path)
    assert file.metadata.extra["consent"] == "alice: asked her"
    assert "blend" in faceid("list").out
    assert faceid("blend", "alice", "bob", "--name", "carol").code == 7, "the name is taken"
    assert faceid("blend", "alice", "bob", "--name", "carol", "--replace").out == ("blended carol from alice and bob\n")
    assert faceid("export", "carol").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("alice", "nobody", "--name", "x"), "nobody"),
        (("alice", "alice", "--name", "x"), "alice is given twice"),
        (("alice", "bob", "--name", "x", "--weight", 1.5), "the weight is 1.5"),
        (("alice", "bob", "--name", "<x>"), "<x>"),
        (("alice", "stranger", "--name", "x"), "faceid enroll stranger PHOTOS --replace --model builtin"),
    ],
)
def test_what_cannot_be_blended_is_told(faceid, add_person, words: tuple[object, ...], message: str) -> None:
    add_person("alice")
    add_person("bob")
    add_person("stranger", base_model="other", base_fingerprint="sd1:fedcba9876543210")
    answer = faceid("blend", *words)
    assert answer.code != 0
    assert message in answer.err
    assert "Traceback" not in answer.err

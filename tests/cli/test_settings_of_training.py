"""`faceid enroll --set`: the training settings that have no option of their own."""

from __future__ import annotations

import pytest


def test_settings_reach_the_training(faceid, photos, tiny_model_dir, quick) -> None:
    more = ("--set", "average_last=2", "--set", "learning_rate_schedule=constant", "--set", "self_attention=false")
    assert faceid("enroll", "alice", photos, "--model", tiny_model_dir, *quick, *more).code == 0
    method = faceid("show", "alice", "--json").data["identity"]["method"]
    found = (method["average_last"], method["learning_rate_schedule"], method["self_attention"])
    assert found == (2, "constant", False), "none of them as it is by default"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("warm_up=soon", "warm_up is a whole number, not 'soon'"),
        ("background_weight=much", "background_weight is a number, not 'much'"),
        ("self_attention=maybe", "self_attention is true or false, not 'maybe'"),
        ("stepz=3", "'stepz=3' sets nothing"),
        ("loss_weighting=min-snr", "'loss_weighting=min-snr' sets nothing"),
        ("warm_up=3 warm_up=30", "warm_up is set twice"),
        ("initial_token=search", "unknown initial token 'search'"),
    ],
)
def test_settings_that_cannot_be(faceid, photos, text, message) -> None:
    answer = faceid("enroll", "alice", photos, *(word for each in text.split() for word in ("--set", each)))
    assert answer.code == 2
    assert message in answer.err

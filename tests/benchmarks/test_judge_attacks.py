"""benchmarks/judge_attacks.py: what has to hold for the judge to be trusted, on people of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.attacks import ATTACKS, FIRST_PERSON, target_of
from benchmarks.judge_attacks import PROMPTS, RESULTS, attack_scores, claims, run, table
from benchmarks.trial import reference_likeness
from faceid_cli.builtin.judge import Judge
from faceid_cli.evaluation.judges import DrawnJudge


@pytest.fixture(scope="module")
def scores() -> dict:
    """Of one person, the attacks that matter most."""
    judge, target = DrawnJudge(Judge.load()), target_of(40)
    likeness = reference_likeness(judge, FIRST_PERSON + 40)
    names = ("honest", "blurred, 3 px", "stranger", "photo pasted", "head pasted", "nobody")
    return {name: attack_scores(judge, likeness, target, ATTACKS[name]) for name in names}


def test_an_honest_picture_is_believed(scores) -> None:
    honest = scores["honest"]
    assert honest["identity_of_prompt"] > 0.75
    assert honest["prompt"] > 0.95
    assert honest["likeness_percent"] > 80
    assert honest["sharpness"] > 0.85
    assert honest["face_spread"] > 0.2


def test_fakes_are_not(scores) -> None:
    assert scores["stranger"]["likeness_percent"] < 30
    assert scores["photo pasted"]["identity"] > 0.9, "it is the person ..."
    assert scores["photo pasted"]["identity_of_prompt"] < 0.1, "... who does nothing of what is asked"
    assert scores["photo pasted"]["background_spread"] < 0.01
    assert scores["head pasted"]["background_spread"] > 0.1, "backgrounds alone do not find it out"
    assert scores["head pasted"]["face_spread"] < 0.13
    assert scores["blurred, 3 px"]["sharpness"] < 0.65
    assert scores["nobody"]["identity"] == 0


def test_attacks_are_what_they_say() -> None:
    target = target_of(41)
    for name in ("photo pasted", "only noise", "honest"):
        assert ATTACKS[name](target, PROMPTS[0], 0).size == (128, 128)
    assert ATTACKS["photo pasted"](target, PROMPTS[0], 0) is ATTACKS["photo pasted"](target, PROMPTS[5], 5)
    first, again = (np.asarray(ATTACKS["honest"](target, PROMPTS[3], 3)) for _ in range(2))
    assert (first == again).all()
    assert (np.asarray(ATTACKS["stranger"](target, PROMPTS[3], 3)) != first).any()


@pytest.mark.slow
def test_every_claim_holds_on_other_people_than_those_of_the_results() -> None:
    found = run(2)
    assert all(holds for holds, _ in claims(found)), [claim for holds, claim in claims(found) if not holds]


def test_the_committed_results_hold_and_are_complete() -> None:
    report = json.loads(Path(RESULTS).read_text(encoding="utf-8"))
    assert set(report["scores"]) == set(ATTACKS)
    assert [entry["claim"] for entry in report["claims"]] == [claim for _, claim in claims(report["scores"])]
    assert [entry["holds"] for entry in report["claims"]] == [holds for holds, _ in claims(report["scores"])]
    assert all(entry["holds"] for entry in report["claims"])
    assert len(table(report["scores"]).splitlines()) == len(ATTACKS) + 2

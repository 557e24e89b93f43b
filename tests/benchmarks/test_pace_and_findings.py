"""benchmarks/pace.py, findings.py and the choice of records: what a table may say."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("peft", reason="the benchmarks' own packages: pip install '.[benchmarks]'")

from benchmarks.findings import FINDINGS, findings
from benchmarks.ledger import SHARED, Ledger, of_the_last_run
from benchmarks.pace import Best, best_of, catching_up, pace_goal, paces, paces_beside, settings_of
from benchmarks.tables import goals


def step_record(step: int, score: float, person: int = 0, seconds: float | None = None, method: str = "sefi") -> dict:
    key = {"base": "sd1:a", "prompts": 8, "sampler": [20, 5.0], "method": method, "person": person, "photos": 4}
    key |= {"settings": {"steps": 40}, "step": step}
    return {"key": key, "scores": {"identity_of_prompt": score}, "seconds": step if seconds is None else seconds}


def test_the_best_is_the_first_step_that_is_as_good_as_any() -> None:
    assert best_of([]) is None
    curve = [step_record(step, score) for step, score in ((10, 0.1), (20, 0.495), (30, 0.5), (40, 0.3))]
    assert best_of(curve) == Best(20, 20.0, 0.495), "one hundredth more is not waited for"
    assert best_of([step_record(10, -0.2), step_record(20, -0.1)]).step == 20
    two = [
        step_record(10, 0.4, 0, 8.0),
        step_record(20, 0.2, 0),
        step_record(10, 0.2, 1, 12.0),
        step_record(20, 0.5, 1),
    ]
    assert best_of(two).step == 20, "by the mean over people"
    half = [*two, step_record(10, 0.9, 2)]
    assert best_of(half) == best_of(two), "who was not scored at every step does not count"


def test_training_goes_on_for_twice_the_usual_steps_and_an_average_over_all_stays_one(tmp_path: Path) -> None:
    found = settings_of("sefi", tmp_path, 1, None)
    assert (found.steps, found.options) == (40, {"average_last": 40})
    found = settings_of("textual-inversion", tmp_path, 4, None)
    assert (found.steps, found.options) == (300, {})
    assert settings_of("sefi", tmp_path, 1, 7).options == {"average_last": 7}


def test_the_goal_of_time_is_about_each_methods_own_best(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "pace.jsonl")
    for method, seconds in (("sefi", 2.0), ("textual-inversion", 11.0)):
        for person in range(5):
            record = step_record(10, 0.5, person, seconds, method)
            ledger.add(record["key"], {"scores": record["scores"], "seconds": seconds})
    found = paces(tmp_path, 4)
    assert pace_goal(found).startswith("- met: 2 s to the best ID(P) of 0.500, Textual Inversion 11 s")
    assert paces(tmp_path, 1) == {}
    results = {**step_record(10, 0.5)["key"], "prompts": 42, "prompt_set": "all of them"}
    assert paces_beside(tmp_path, 4, results) == found, "fewer prompts do for the pace"
    assert paces_beside(tmp_path, 4, {**results, "base": "sd1:b"}) == {}, "another base model does not"
    assert pace_goal({}) is None
    own = [
        step_record(step, score, 0, seconds)
        for step, score, seconds in ((5, 0.3, 1.0), (10, 0.495, 2.2), (15, 0.7, 4.0))
    ]
    assert catching_up(found, own) == (
        "- as good as Textual Inversion at its best (0.500; here 0.495) after 10 steps in 2 s, 0.20 of its time"
    )
    assert catching_up(found, own[:1]) is None
    assert catching_up({}, own) is None
    assert pace_goal({**found, "sefi": Best(10, 3.0, 0.5, 5)}).startswith("- not met: 3 s")
    assert pace_goal({**found, "sefi": Best(10, 1.0, 0.5, 4)}).startswith(
        "- undecided: the goal of time needs 5 people, and 4"
    )
    scores = dict.fromkeys(("prompt", "attention_inside"), 0.5) | {"identity": 0.5, "identity_of_prompt": 0.4}
    record = {"scores": scores, "seconds": 9.0, "parameters": 1}
    people = [{**record, "key": {"person": person}} for person in range(30)]
    rows = {"sefi": people, "textual-inversion": people}
    assert "- met: a line" in goals(rows, "- met: a line")
    assert any("9 s of learning, Textual Inversion 9 s" in line for line in goals(rows))


def test_a_table_never_mixes_models_prompts_or_settings() -> None:
    def record(base: str, method: str, steps: int, person: int, prompts: int = 8) -> dict:
        key = {"base": base, "prompts": prompts, "sampler": [20, 5.0], "method": method, "person": person, "photos": 4}
        return {"key": {**key, "settings": {"steps": steps}}}

    old_model, few_prompts = record("sd1:old", "sefi", 300, 0), record("sd1:new", "sefi", 300, 0, prompts=2)
    quick = record("sd1:new", "sefi", 3, 0)
    good = [record("sd1:new", "sefi", 300, person) for person in range(2)] + [record("sd1:new", "prospect", 99, 0)]
    assert of_the_last_run([old_model, few_prompts, quick, *good]) == good
    assert of_the_last_run([]) == []
    asked = {"base": "sd1:old", "prompts": 8, "sampler": [20, 5.0]}
    assert of_the_last_run([old_model, *good], asked) == [old_model], "of the bench that is asked for"
    for name in SHARED:
        other = {"key": {**good[0]["key"], name: "other"}}
        assert other not in of_the_last_run([other, *good]), f"another {name} is not compared with"


def ablation(variant: str, person: int, **scores: float) -> dict:
    return {
        "key": {"variant": variant, "person": person},
        "scores": scores,
        "groups": {"face change": scores.get("face")},
    }


def test_findings_hold_or_do_not_or_are_undecided() -> None:
    records = []
    for person in range(6):
        records += [
            ablation("lambda: 0.003", person, identity=0.5 + 0.01 * person, prompt=0.5, identity_of_prompt=0.2),
            ablation("lambda: 0.3", person, identity=0.3 + 0.01 * person, prompt=0.4, identity_of_prompt=0.2),
            ablation("stages: 5", person, identity_of_prompt=0.2 + 0.1 * (-1) ** person),
            ablation("stages: 1", person, identity_of_prompt=0.2),
        ]
    found = findings(records)
    assert len(found) == len(FINDINGS)
    assert found[0].startswith("- holds: with a small lambda")
    assert "+0.200 [+0.200, +0.200], 6 people" in found[0]
    assert found[1].startswith("- does not hold: with a large lambda")
    assert any(line.startswith("- undecided: five stages give more ID(P) than one") for line in found)
    assert any(line.startswith("- not measured on 5 people: keys and values together") for line in found)


def test_findings_name_variants_that_there_are() -> None:
    from benchmarks.ablations import variants

    names = {variant.name for variant in variants()}
    assert {name for finding in FINDINGS for name in (finding.better, finding.worse)} <= names

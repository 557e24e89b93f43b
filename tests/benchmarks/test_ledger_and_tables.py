"""benchmarks: results survive a stop, tables say what was measured, variants change what they say."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

pytest.importorskip("peft", reason="the benchmarks' own packages: pip install '.[benchmarks]'")

from benchmarks.ablations import CENTRES, key_of_variant, settings_of_variant, twin, variants, verdict
from benchmarks.baselines import METHODS, Settings
from benchmarks.baselines.tokens import Preset, engine_settings, train_config
from benchmarks.ledger import Ledger, of_the_last_run
from benchmarks.parts import chosen_layers
from benchmarks.quality import best_settings, changed, settings_told, shown_records
from benchmarks.tables import beside_the_centre, differences, goals, table
from benchmarks.tuned import read_settings, settings_for, write_settings
from faceid_cli.orders import paced, preset


def record(identity: float, prompt: float = 0.8, seconds: float = 10.0) -> dict:
    scores = dict.fromkeys(
        ("likeness_percent", "one_face", "face_place_spread", "background_spread", "attention_inside")
    )
    scores |= {"identity": identity, "prompt": prompt, "identity_of_prompt": identity * prompt}
    return {"scores": scores, "seconds": seconds, "parameters": 768}


def people(*records: dict) -> list[dict]:
    """Thirty records, one a person."""
    return [{**records[person % len(records)], "key": {"person": person}} for person in range(30)]


def test_a_ledger_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "results" / "a.jsonl")
    ledger.add({"person": 1, "method": "x"}, {"value": 0.5})
    with open(ledger.path, "a") as file:
        file.write('{"key": {"person": 2, "met')  # a crash in the middle of a line
    again = Ledger(ledger.path)
    assert again.has({"method": "x", "person": 1})
    assert not again.has({"method": "x", "person": 2})
    again.add({"person": 2, "method": "x"}, {"value": 0.7})
    assert [each["value"] for each in Ledger(ledger.path)] == [0.5, 0.7]


def test_tables_and_goals() -> None:
    rows = {
        "base": people(record(0.0, 0.9)),
        "textual-inversion": people(*(record(0.1 + 0.01 * place, 0.5, 100.0) for place in range(3))),
        "dreambooth-lora": people(record(0.3, 0.6)),
        "sefi": people(*(record(0.5 + 0.01 * place, 0.88, 15.0) for place in range(3))),
    }
    text = table(rows)
    assert text.splitlines()[0].startswith("| method | people | ID | Prompt | ID(P) |")
    assert "| sefi | 30 | 0.510 [0.5" in text
    found = goals(rows)
    assert [line.split(":")[0] for line in found[:6]] == ["- met"] * 6
    assert found[2].endswith("by +0.394 [+0.393, +0.395], person by person (30 people): clear of 0")
    assert goals({**rows, "sefi": people(record(0.2, 0.5, 50.0))})[3].startswith("- not met: ID 0.200")
    assert goals({"base": rows["base"]}) == []
    few = "30 people are needed to say whether a goal is met, and these have fewer: "
    assert goals({**rows, "sefi": rows["sefi"][:3]})[0].startswith(few + "base 3, textual-inversion 3")
    told, highest, *others = goals({**rows, "dreambooth-lora": rows["dreambooth-lora"][:7]})
    assert told == few + "dreambooth-lora 7"
    assert highest.startswith("- undecided: ID(P)"), "the method that is left out may be higher"
    assert not any("LoRA" in line for line in others)


def test_the_highest_is_the_highest_of_all_methods() -> None:
    rows = {
        "textual-inversion": people(record(0.2)),
        "dreambooth-lora": people(record(0.7)),
        "sefi": people(record(0.5)),
    }
    highest, clear = goals(rows)[:2]
    assert highest == "- not met: ID(P) 0.400 on average, dreambooth-lora 0.560: highest"
    assert clear.startswith("- met: ID(P) 0.400 and up, textual-inversion up to 0.160")


def test_goals_compare_the_same_people() -> None:
    """A run that was stopped has measured some methods on more people than others."""
    easy = [{**record(0.9), "key": {"person": person}} for person in range(30, 60)]
    rows = {"textual-inversion": people(record(0.5)), "sefi": [*people(record(0.4)), *easy]}
    assert goals(rows)[0] == "- not met: ID(P) 0.320 on average, textual-inversion 0.400: highest"
    more = [{**record(0.5), "key": {"person": person}} for person in range(30, 60)]
    others = people(record(0.6))
    both = goals({**rows, "textual-inversion": [*rows["textual-inversion"], *more], "prospect": others})
    assert "prospect 0.480" in both[0], "who is best is said by the people whom all have"
    both = goals({**rows, "textual-inversion": [*rows["textual-inversion"], *more]})
    assert both[2].startswith("- met: ID(P) higher than textual-inversion's by +0.120")
    assert both[2].endswith("person by person (60 people): clear of 0"), "and by how much by all whom the two have"


def test_a_changed_default_is_not_taken_for_an_old_result(monkeypatch: pytest.MonkeyPatch) -> None:
    from faceid_cli import orders as config

    settings = Settings()
    before = engine_settings(METHODS["sefi"], settings)
    assert before["learning_rate_schedule"] == config.PRESETS["sefi"].learning_rate_schedule
    assert "attention_weight" not in before, "what is as in the paper's recipe is left out"
    assert not {"device", "precision", "checkpoint_every"} & set(before), "machines differ, results do not"
    changed_preset = config.preset("sefi", attention_weight=0.5)
    monkeypatch.setitem(config.PRESETS, "sefi", changed_preset)
    assert engine_settings(METHODS["sefi"], settings) != before
    assert engine_settings(METHODS["dreambooth-lora"], METHODS["dreambooth-lora"].defaults)["stages"] == 1


def test_what_was_asked_for_last_counts_though_it_was_measured_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.jsonl")
    wanted = [{"method": "sefi", "person": person, "engine": {"steps": 300}} for person in range(2)]
    for key in (*wanted, {"method": "sefi", "person": 0, "engine": {"steps": 3}}):
        ledger.add(key, {"value": 1})
    assert [record["key"]["engine"]["steps"] for record in of_the_last_run(ledger)] == [3]
    assert all(ledger.has(key) for key in wanted)
    assert [record["key"] for record in of_the_last_run(ledger)] == wanted


def test_others_are_shown_with_their_best_settings_and_faceid_with_those_of_the_last_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.jsonl")
    for method in ("textual-inversion", "sefi"):
        for steps, value, count in ((300, 0.4, 2), (150, 0.5, 2), (75, 0.3, 2), (600, 0.9, 1)):
            for person in range(count):
                key = {"method": method, "person": person, "photos": 4, "settings": {"steps": steps}}
                ledger.add(key, {"scores": {"identity_of_prompt": value}})
    found = {(each["key"]["method"], each["key"]["settings"]["steps"]) for each in shown_records(ledger, None)}
    assert found == {("textual-inversion", 150), ("sefi", 600)}, (
        "what only one person was measured with does not count for others"
    )


def test_a_search_goes_beyond_what_is_best_at_its_edge() -> None:
    tried: list[int] = []

    def score(settings: Settings) -> float:
        tried.append(settings.steps)
        return -abs(settings.steps - 1300)

    arguments = argparse.Namespace(steps=None, tries=100, most_steps=None)
    chosen, highest = best_settings(METHODS["textual-inversion"], arguments, score)
    assert (chosen.steps, highest) == (1200, -100.0)
    assert tried[-2:] == [1200, 2400]
    arguments.most_steps = 300
    assert best_settings(METHODS["textual-inversion"], arguments, score)[0].steps == 300
    arguments.steps = 5
    assert best_settings(METHODS["textual-inversion"], arguments, score)[0].steps == 5


def test_what_is_measured_is_what_users_get(tmp_path: Path) -> None:
    method = METHODS["sefi"]
    assert isinstance(method, Preset)
    assert method.grid == ()
    for photos in (1, 4):
        measured = train_config(settings_for(tmp_path, photos, "sefi"), method.preset)
        settled = paced(preset("sefi", initial_token="regression"))
        assert measured == replace(settled, initial_token="auto")


def test_differences_are_of_the_same_people() -> None:
    """Half of them have the one method alone, and are left out; the rest differ by 0.1, however different they are."""
    rows = {
        "sefi": people(record(0.5, 1.0), record(0.9, 1.0)),
        "textual-inversion": people(record(0.4, 1.0), record(0.8, 1.0))[:15],
    }
    text = differences(rows, {"textual-inversion": "Textual Inversion"})
    assert text.splitlines()[-1] == (
        "| Textual Inversion | 15 | +0.100 [+0.100, +0.100] | +0.000 [+0.000, +0.000] | +0.100 [+0.100, +0.100] |"
    )
    assert differences({"sefi": rows["sefi"]}, {}) == ""


def test_a_report_says_what_was_tuned(tmp_path: Path) -> None:
    settings = Settings(steps=600)
    rows = {"textual-inversion": [{"key": {"base": "sd1:a", "settings": json.loads(json.dumps(asdict(settings)))}}]}
    assert "600 steps, learning rate 0.005; not tuned" in settings_told(rows, read_settings(tmp_path, 4))
    for base, told in (("sd1:a", "tuned on this base model"), ("sd1:b", "tuned on another base model")):
        write_settings(tmp_path, 4, "textual-inversion", {**asdict(settings), "base": base, "people": [1000, 1003]})
        assert settings_told(rows, read_settings(tmp_path, 4)).endswith(f"; {told}")
    assert read_settings(tmp_path, 1) == {}, "found for another number of photos"
    rows["textual-inversion"][0]["key"]["settings"]["steps"] = 300
    assert settings_told(rows, read_settings(tmp_path, 4)).endswith("; tuning found 600 steps, learning rate 0.005")


def test_the_same_work_is_done_once() -> None:
    """The centre of the ablations is a variant of nearly every group."""
    by_name = {variant.name: variant for variant in variants()}
    keys = {
        name: key_of_variant(by_name[name], Settings(options=by_name[name].changes))
        for name in ("lambda: 0.003", "stages: 5", "vectors: 1", "stages: 3", "photos: 3", "options: none")
    }
    done = [{"key": keys["lambda: 0.003"], "value": 1}]
    assert twin(keys["stages: 5"], done) == done[0]
    assert twin(keys["vectors: 1"], done) == done[0]
    for name in ("stages: 3", "photos: 3", "options: none"):
        assert twin(keys[name], done) is None


def test_a_verdict_compares_the_best_with_the_centre_person_by_person() -> None:
    spread = [0.1, 0.6] * 15
    rows = {
        "1": people(*map(record, spread)),
        "5": people(*(record(identity + 0.05) for identity in spread)),
    }
    assert verdict(rows, "5") == "Highest ID(P): 5 (0.320), the centre."
    clear = "Highest ID(P): 5 (0.320), +0.040 [+0.040, +0.040] more than 1, clear of it person by person."
    assert verdict({label: rows[label] for label in ("1", "5")}, "1") == clear
    unclear = verdict({"a": rows["1"], "b": people(record(-0.1), record(0.83))}, "a")
    assert "Highest ID(P): b" in unclear
    assert "not clear of it" in unclear
    assert verdict({"1": [record(0.1)]}, "1") == "No verdict yet: every variant needs 5 people, and one has 1."
    assert verdict(rows, "7") == "No verdict without the centre (7)."
    told = beside_the_centre(rows, "1").splitlines()
    assert len(told) == 3, "heading, rule, and the other variant"
    assert told[2].startswith("| 5 | 30 | +0.050 [+0.050, +0.050] |")
    assert beside_the_centre(rows, "7") == ""


def test_the_centres_are_one_and_the_same_work() -> None:
    keys = {
        variant.group: {**key_of_variant(variant, Settings(options=variant.changes)), "variant": "any"}
        for variant in variants()
        if variant.label == CENTRES[variant.group]
    }
    assert set(keys) == {variant.group for variant in variants()}
    own_loop = keys.pop("options")
    assert all(key == keys["lambda"] for key in keys.values())
    assert {**own_loop, "loop": "benchmarks"} == keys["lambda"]


def test_variants_cover_the_questions() -> None:
    groups = {variant.group for variant in variants()}
    assert groups == {"lambda", "stages", "side", "self-attention", "vectors", "layers", "words", "photos", "options"}
    assert len({variant.name for variant in variants()}) == len(variants())
    shapes = {"down_blocks.0.attn2": (8, 4), "mid_block.attn2": (2, 1), "up_blocks.1.attn2": (8, 4)}
    assert chosen_layers(shapes, "up") == ["up_blocks.1.attn2"]
    assert chosen_layers(shapes, "1") == ["down_blocks.0.attn2", "up_blocks.1.attn2"]
    assert chosen_layers(shapes, "2") == ["mid_block.attn2"]
    with pytest.raises(ValueError, match="no layer is '3'"):
        chosen_layers(shapes, "3")


def test_a_quarter_of_the_steps_is_one_of_whatever_the_others_train_for() -> None:
    by_label = {variant.label: variant for variant in variants() if variant.group == "options"}
    short = by_label["start by regression, a quarter of the steps"]
    assert settings_of_variant(short, 100) == Settings(steps=25, options={"initial_token": "regression"})
    assert settings_of_variant(short).steps == 75
    assert settings_of_variant(by_label["start by regression"], 100).steps == 100
    assert short.changes["share_of_steps"] == 0.25, "left as it was"


def test_changes_go_where_they_belong() -> None:
    found = changed(Settings(options={"rank": 4}), {"steps": 7, "rank": 16})
    assert found == Settings(steps=7, options={"rank": 16})
    for method in METHODS.values():
        for changes in method.grid:
            assert changed(method.defaults, changes) != method.defaults

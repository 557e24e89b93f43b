"""benchmarks: results survive a stop, tables say what was measured, variants change what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("peft", reason="the benchmarks' own packages: pip install '.[benchmarks]'")

from benchmarks.ablations import chosen_layers, variants, verdict
from benchmarks.baselines import METHODS, Settings
from benchmarks.ledger import Ledger
from benchmarks.quality import changed
from benchmarks.tables import goals, table


def record(identity: float, prompt: float = 0.8, seconds: float = 10.0) -> dict:
    scores = dict.fromkeys(
        ("likeness_percent", "one_face", "face_place_spread", "background_spread", "attention_inside")
    )
    scores |= {"identity": identity, "prompt": prompt, "identity_of_prompt": identity * prompt}
    return {"scores": scores, "seconds": seconds, "parameters": 768}


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
        "base": [record(0.0, 0.9)] * 30,
        "textual-inversion": [record(0.1 + 0.01 * (place % 3), 0.5, 100.0) for place in range(30)],
        "dreambooth-lora": [record(0.3, 0.6)] * 30,
        "sefi": [record(0.5 + 0.01 * (place % 3), 0.88, 15.0) for place in range(30)],
    }
    text = table(rows)
    assert text.splitlines()[0].startswith("| method | people | ID | Prompt | ID(P) |")
    assert "| sefi | 30 | 0.510 [0.5" in text
    found = goals(rows)
    assert [line.split(":")[0] for line in found[:4]] == ["- met"] * 4
    assert goals({**rows, "sefi": [record(0.2, 0.5, 50.0)] * 30})[1].startswith("- not met: ID 0.200")
    assert goals({"base": rows["base"]}) == []
    assert goals({"sefi": rows["sefi"][:3]})[0].startswith("3 people are too few")


def test_a_verdict_says_whether_the_best_is_clear() -> None:
    clear = {"1": [record(0.1)] * 6, "5": [record(0.5)] * 6}
    assert verdict(clear) == "Highest ID(P): 5 (0.400), clear of all others by 95 % intervals over people."
    assert "not clear" in verdict({"1": [record(0.1), record(0.6)] * 3, "5": [record(0.2), record(0.7)] * 3})
    assert verdict({"1": [record(0.1)]}) == "1 people are too few for a verdict: 5 are needed."


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


def test_changes_go_where_they_belong() -> None:
    found = changed(Settings(options={"rank": 4}), {"steps": 7, "rank": 16})
    assert found == Settings(steps=7, options={"rank": 16})
    for method in METHODS.values():
        for changes in method.grid:
            assert changed(method.defaults, changes) != method.defaults

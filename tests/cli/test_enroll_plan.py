"""`faceid enroll --plan`: what an enrolment would take, without doing any of it; and batches that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from faceid_cli.backbone.peak import Peak
from faceid_cli.kept import paths


def test_the_plan_says_what_an_enrolment_takes_and_keeps_nothing(faceid, photos, tiny_model_dir, quick) -> None:
    words = ("enroll", "alice", photos, "--model", tiny_model_dir, *quick)
    plan = faceid(*words, "--plan", "--json").data["plan"]
    assert faceid("list", "-q").out == ""
    assert not list(paths.runs_dir().glob("*"))
    assert (plan["photos"], plan["steps"], plan["batch_size"], plan["device"]) == (2, 2, 1, "cpu")
    assert 0 < plan["step_seconds"] < plan["seconds"]
    assert plan["begin_seconds"] < plan["seconds"]
    assert 2e8 < plan["memory_bytes"] < plan["room_bytes"]
    assert faceid(*words).code == 0
    kept = [file for file in (paths.home()).rglob("*") if file.is_file() and file.suffix in (".safetensors", ".png")]
    kept += list(paths.home().rglob("*.jpg"))
    assert plan["kept_bytes"] == pytest.approx(sum(file.stat().st_size for file in kept), rel=0.5)
    lines = faceid("enroll", "bob", photos, "--model", tiny_model_dir, *quick, "--plan").out.splitlines()
    assert [line.split()[0] for line in lines] == ["photos", "steps", "time", "memory", "disk", "device"]


def test_more_steps_take_longer(faceid, photos, tiny_model_dir) -> None:
    def seconds(steps: int) -> float:
        how = ("--no-detect", "--steps", steps, "--batch", 1, "--device", "cpu", "--plan", "--json")
        plan = faceid("enroll", "alice", photos, "--model", tiny_model_dir, *how).data["plan"]
        return plan["seconds"] - plan["begin_seconds"]

    assert seconds(1000) > 20 * seconds(10)


@pytest.mark.parametrize(("words", "code", "batch"), [(("--batch", "8"), 10, 4), (("--batch", "auto"), 0, 4)])
def test_what_would_not_fit_is_not_tried_and_told(
    faceid, photos, tiny_model_dir, monkeypatch, words, code, batch
) -> None:
    monkeypatch.setattr(Peak, "now", property(lambda self: 1000))
    monkeypatch.setattr(Peak, "bytes", property(lambda self: 1200))
    monkeypatch.setattr(Peak, "room", property(lambda self: 2000))
    answer = faceid("enroll", "al", photos, "--model", tiny_model_dir, "--no-detect", "--steps", 2, *words, "--plan")
    assert answer.code == code
    assert f"batch {batch}" in answer.out
    assert ("a batch of 8 does not fit" in answer.err) == bool(code)
    assert ("--batch 4 fits" in answer.err) == bool(code)


def crowded(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let the UNet of a base model take no more rows."""
    from faceid_cli.training import engine

    real = engine.SharedEngine.prediction

    def prediction(self, modules, sentences, noisy, timesteps):
        if len(noisy) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return real(self, modules, sentences, noisy, timesteps)

    monkeypatch.setattr(engine.SharedEngine, "prediction", prediction)


def test_a_refusal_names_what_fits(faceid, photos, tiny_model_dir, monkeypatch) -> None:
    crowded(monkeypatch, 2)
    words = ("enroll", "al", photos, "--model", tiny_model_dir, "--no-detect", "--steps", 2, "--device", "cpu")
    answer = faceid(*words, "--batch", 8)
    assert answer.code == 10
    assert "--batch 2 fits" in answer.err
    assert faceid(*words, "--batch", "auto").code == 0


def test_a_run_that_is_out_of_memory_later_begins_anew_with_less(faceid, photos, tiny_model_dir, monkeypatch) -> None:
    from faceid_cli.training import fitting

    monkeypatch.setattr(fitting, "fitting_batch", lambda base, crops, config: config.batch_size)
    crowded(monkeypatch, 2)
    words = ("enroll", "al", photos, "--model", tiny_model_dir, "--no-detect", "--steps", 2, "--device", "cpu")
    answer = faceid(*words, "--batch", "auto")
    assert answer.code == 0, answer.err
    assert "out of memory: the enrolment begins anew with batch 2" in answer.err
    assert faceid("show", "al", "--json").data["identity"]["method"]["batch_size"] == 2


@pytest.mark.slow
def test_the_plan_is_within_a_quarter_on_the_built_in_model() -> None:
    from benchmarks.plan import compare

    found = compare("cpu", photos=2, steps=25)
    assert {name: row["ratio"] for name, row in found.items() if not 0.75 <= row["ratio"] <= 1.25} == {}


def test_many_people_have_no_plan(faceid, tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    answer = faceid("enroll", "--each", tmp_path, "--plan")
    assert answer.code == 2
    assert "--plan is about one person" in answer.err

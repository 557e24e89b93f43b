"""`faceid.batch` from Python: outcomes, streams, and memory."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

import faceid_cli
from faceid_cli.api.wanted import Outcome
from faceid_cli.errors import UsageError
from faceid_cli.kept.identity_file import IdentityMetadata, save_identity
from faceid_cli.model_files import fingerprint_of
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.store import Registry

QUICK: dict[str, Any] = {"device": "cpu", "steps": 1}


@pytest.fixture
def alice(tiny_model_dir: Path) -> None:
    """Enrolled on the tiny model, without training."""
    import numpy as np

    features = {"text_encoder": np.ones((5, 1, 32), dtype=np.float32)}
    fingerprint = fingerprint_of(str(tiny_model_dir))
    new = NewIdentity("alice", "person", str(tiny_model_dir), fingerprint, {"method": "sefi", "steps": 1}, ())
    metadata = IdentityMetadata("alice", "person", str(tiny_model_dir), fingerprint)
    with Registry.open() as registry:
        run = NewRun(new.method, ((0.5, 0.25),), 1.0)
        registry.add_identity(new, lambda kept: save_identity(kept.path, features, features, metadata), run)


def test_rows_are_mappings_or_prompts(alice, tmp_path) -> None:
    rows = ["cup", {"prompt": "night", "seed": 3, "steps": 2}, {"prompt": "x", "steps": "many"}]
    told: list[tuple[int, int]] = []
    found = faceid_cli.batch(
        rows, output=tmp_path / "out", people=(("alice",),), on_progress=lambda *done: told.append(done), **QUICK
    )
    assert [each.status for each in found] == ["failed", "rendered", "rendered"]
    assert found[0].error is not None
    assert found[0].error.message == "row 3, steps: 'many' is no whole number"
    assert told == [(1, 2), (2, 2)]
    again = faceid_cli.batch(rows[:2], output=tmp_path / "out", people=(("alice",),), **QUICK)
    assert [each.status for each in again] == ["there", "there"]
    with pytest.raises(UsageError, match="many"):
        faceid_cli.batch(rows, output=tmp_path / "out", people=(("alice",),), fail_fast=True, **QUICK)


def test_pictures_are_let_go_as_soon_as_they_are_written(alice, tmp_path) -> None:
    alive: list[weakref.ref[Image.Image]] = []
    most = []

    def look(outcome: Outcome) -> None:
        assert outcome.render is not None
        alive.append(weakref.ref(outcome.render.image))
        most.append(sum(each() is not None for each in alive))

    rows = [{"prompt": f"cup {number}"} for number in range(60)]
    found = faceid_cli.batch(rows, output=tmp_path, people=(("alice",),), on_outcome=look, batch_size=4, **QUICK)
    assert len(found) == 60
    assert all(each.render is None for each in found)
    assert max(most) <= 16 + 2 * 4


def test_a_name_tells_what_was_left_open(alice, tmp_path) -> None:
    found = faceid_cli.batch(
        ["cup"], output=tmp_path / "{steps}-{scheduler}.png", people=(("alice",),), device="cpu", guidance_scale=1
    )
    assert [each.path for each in found] == [tmp_path / "20-ddim.png"]


@pytest.mark.parametrize("room", [1, 3, 4])
def test_each_picture_is_rendered_once_where_a_batch_has_to_be_halved(alice, tmp_path, monkeypatch, room) -> None:
    """A half has to halve again, with nothing of what did not fit in memory any more."""
    forward, held = UNet2DConditionModel.forward, []

    def of_little_memory(self: Any, sample: torch.Tensor, *more: Any, **named: Any) -> Any:
        assert [each() for each in held if each() is not None] == []
        if len(sample) > room:
            activations = sample + 1
            held.append(weakref.ref(activations))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(self, sample, *more, **named)

    monkeypatch.setattr(UNet2DConditionModel, "forward", of_little_memory)
    outcomes: list[Outcome] = []
    notes: list[str] = []
    faceid_cli.batch(
        [{"prompt": f"cup {number}"} for number in range(8)],
        output=tmp_path,
        people=(("alice",),),
        on_outcome=outcomes.append,
        on_note=notes.append,
        batch_size=8,
        guidance_scale=1,
        **QUICK,
    )
    assert [each.status for each in outcomes] == 8 * ["rendered"]
    assert {each.path for each in outcomes} == {*tmp_path.glob("*.png")}
    assert len({each.path for each in outcomes}) == 8
    assert notes[-1].endswith(f"{min(room, 2) if room < 4 else 4} are tried")


def test_a_picture_that_does_not_fit_holds_no_memory_while_others_are_rendered(alice, tmp_path, monkeypatch) -> None:
    forward, held = UNet2DConditionModel.forward, []

    def of_little_memory(self: Any, sample: torch.Tensor, *more: Any, **named: Any) -> Any:
        if sample.shape[-1] > 8:
            activations = sample + 1
            held.append(weakref.ref(activations))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        assert [each() for each in held] == [None]
        return forward(self, sample, *more, **named)

    monkeypatch.setattr(UNet2DConditionModel, "forward", of_little_memory)
    rows = [{"prompt": "night", "width": 128}, {"prompt": "cup"}]
    found = faceid_cli.batch(rows, output=tmp_path, people=(("alice",),), **QUICK)
    assert sorted(each.status for each in found) == ["failed", "rendered"]


def test_rows_may_hold_tuples(alice, tmp_path) -> None:
    row = {"prompt": "cup", "names": ("alice",), "stages": (1, 2), "likeness_of": ()}
    (found,) = faceid_cli.batch([row], output=tmp_path, **QUICK)
    assert found.status == "rendered"
    assert found.job is not None
    assert found.job.order.config.stages == (1, 2)


@pytest.mark.parametrize("wrong", [{"stepz": 1}, {"steps": 0}, {"steps": "2"}, {"config": 3}])
def test_common_options_that_cannot_be_are_refused_before_any_row(alice, tmp_path, wrong) -> None:
    with pytest.raises(UsageError):
        faceid_cli.batch(["cup"], output=tmp_path / "out", people=(("alice",),), **wrong)
    with pytest.raises(UsageError):
        faceid_cli.enroll_people([{"name": "bob", "photos": "x"}], **wrong)
    assert not (tmp_path / "out").exists()


def test_common_options_may_need_what_the_rows_say(alice, tmp_path) -> None:
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "init.png")
    rows = [{"prompt": "cup", "init": str(tmp_path / "init.png")}, {"prompt": "night"}]
    found = faceid_cli.batch(rows, output=tmp_path / "out", people="alice", mask=tmp_path / "mask.png", **QUICK)
    assert [each.status for each in found] == ["failed", "rendered"]
    assert found[0].error is not None
    assert "a mask needs a picture" in found[0].error.message

"""Interrupted and resumed training, and checkpoints that do not fit."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
import torch

from faceid_cli.errors import CheckpointError, InterruptedRunError
from faceid_cli.training import train_identity
from faceid_cli.training.checkpoint import FILE_NAME
from faceid_cli.training.interrupt import deferred_interrupt
from faceid_cli.training.run import Run
from faceid_cli.types import StepReport


@pytest.mark.parametrize(("stopped_at", "self_attention"), [(1, False), (2, True), (4, False)])
def test_interrupted_and_resumed_equals_unbroken(
    tiny_base, tmp_path, stopped_at, self_attention, quick, make_crops, identity_bytes, stop_after
):
    quick = replace(quick, self_attention=self_attention)
    unbroken, report = train_identity(tiny_base, make_crops(), quick)

    with pytest.raises(InterruptedRunError) as caught:
        train_identity(tiny_base, make_crops(), quick, tmp_path / "run", on_step=stop_after(stopped_at))
    torch.rand(7)  # no global random state is used
    resumed, resumed_report = train_identity(tiny_base, make_crops(), quick, tmp_path / "run", resume=True)

    assert caught.value.exit_code == 130
    assert caught.value.message == (
        f"interrupted after step {stopped_at} of 4; checkpoint saved at {tmp_path / 'run' / FILE_NAME}"
    )
    assert "--resume" in caught.value.hint
    assert identity_bytes(resumed, tmp_path / "a") == identity_bytes(unbroken, tmp_path / "b")
    assert resumed_report.losses == report.losses
    assert resumed_report.resumed_from == stopped_at


def test_ctrl_c_within_a_step_lets_the_step_finish(tiny_base, tmp_path, quick, make_crops):
    def press_ctrl_c(report: StepReport) -> None:
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="interrupted after step 3 of 4"):
        train_identity(tiny_base, make_crops(), quick, tmp_path, on_step=press_ctrl_c)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_the_last_step_is_saved_is_not_lost(tiny_base, tmp_path, quick, make_crops, monkeypatch):
    monkeypatch.setattr(Run, "save_if_due", lambda run: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(InterruptedRunError, match="interrupted after step 1 of 1"):
        train_identity(tiny_base, make_crops(), replace(quick, steps=1, average_last=0), tmp_path)


def test_ctrl_c_at_the_end_of_the_deferral_is_not_lost():
    with pytest.raises(KeyboardInterrupt), deferred_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_stops_within_the_step(tiny_base, tmp_path, quick, make_crops):
    def press_ctrl_c(report: StepReport) -> None:
        if report.step == 2:
            tiny_base.unet.conv_out.register_forward_hook(interrupt)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError) as caught:
        train_identity(tiny_base, make_crops(), quick, tmp_path, on_step=press_ctrl_c)
    assert caught.value.message == f"stopped within step 3 of 4; the last checkpoint is at {tmp_path / FILE_NAME}"
    with pytest.raises(InterruptedRunError, match="stopped within step 1 of 4; nothing is saved"):
        train_identity(tiny_base, make_crops(), quick, tmp_path / "other")


def test_periodic_checkpoint_survives_a_crash(tiny_base, tmp_path, quick, make_crops, identity_bytes):
    class Crash(Exception):
        pass

    def crash(report: StepReport) -> None:
        if report.step == 3:
            raise Crash

    with pytest.raises(Crash):
        train_identity(tiny_base, make_crops(), quick, tmp_path / "run", on_step=crash)
    resumed, report = train_identity(tiny_base, make_crops(), quick, tmp_path / "run", resume=True)
    unbroken, _ = train_identity(tiny_base, make_crops(), quick)
    assert report.resumed_from == 2
    assert identity_bytes(resumed, tmp_path / "a") == identity_bytes(unbroken, tmp_path / "b")


@pytest.mark.parametrize(
    ("changes", "count", "words"),
    [
        ({"learning_rate": 1e-3}, 2, "learning rate is 0.005 there and 0.001 here"),
        ({"stages": 3}, 2, "stages is 5 there and 3 here"),
        ({"steps": 9}, 2, "steps is 4 there and 9 here"),
        ({}, 3, "other crops; other photos"),
    ],
)
def test_checkpoint_of_another_run_is_refused(tiny_base, tmp_path, changes, count, words, quick, make_crops):
    train_identity(tiny_base, make_crops(), quick, tmp_path)
    with pytest.raises(CheckpointError) as caught:
        train_identity(tiny_base, make_crops(count), replace(quick, **changes), tmp_path, resume=True)
    assert words in caught.value.message
    assert "belongs to another run" in caught.value.message


def test_checkpoint_of_another_base_model_is_refused(tiny_base, tmp_path, quick, make_crops):
    train_identity(tiny_base, make_crops(), quick, tmp_path)
    with pytest.raises(CheckpointError, match=r"base model is sd1:[0-9a-f]+ there and sd1:other here"):
        train_identity(replace(tiny_base, fingerprint="sd1:other"), make_crops(), quick, tmp_path, resume=True)


@pytest.mark.parametrize("damage", [b"", b"\x80\x04pickle", None])
def test_damaged_or_missing_checkpoint_is_refused(tiny_base, tmp_path, damage, quick, make_crops):
    train_identity(tiny_base, make_crops(), quick, tmp_path)
    file = tmp_path / FILE_NAME
    file.write_bytes(file.read_bytes()[:-50] if damage is None else damage)
    with pytest.raises(CheckpointError, match="is damaged"):
        train_identity(tiny_base, make_crops(), quick, tmp_path, resume=True)
    file.unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint to resume at"):
        train_identity(tiny_base, make_crops(), quick, tmp_path, resume=True)


def test_without_resume_an_old_checkpoint_is_not_used(tiny_base, tmp_path, quick, make_crops):
    train_identity(tiny_base, make_crops(), replace(quick, seed=8), tmp_path)
    assert train_identity(tiny_base, make_crops(), quick, tmp_path)[1].resumed_from == 0

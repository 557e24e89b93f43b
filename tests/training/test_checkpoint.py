"""training/checkpoint.py: a checkpoint holds all that a run goes on from, and knows its own run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faceid_cli.attention import split_attention
from faceid_cli.errors import CheckpointError
from faceid_cli.training import train_identity
from faceid_cli.training.checkpoint import load_checkpoint, run_key, save_checkpoint
from faceid_cli.training.engine import Engine
from faceid_cli.types import Box


def test_everything_that_a_run_goes_on_from_comes_back(tiny_base, quick, make_crops, tmp_path) -> None:
    engine = Engine(tiny_base, make_crops(), quick)
    state, fresh, key = engine.new_state(), engine.new_state(), run_key(tiny_base, make_crops(), quick)
    with split_attention(tiny_base.unet, 5, tiny_base.text_window):
        engine.losses(state.module, state.draws.draw(5), None).reconstruction.backward()
    state.optimizer.step()
    state.losses += [(0.5, 0.25), (0.4, 0.125)]
    state.seconds = 61.5
    state.sums = {"text_encoder.keys": torch.rand(5, 1, 32).double(), "text_encoder.values": torch.rand(1).double()}

    load_checkpoint(save_checkpoint(tmp_path, state, key).parent, fresh, key)

    assert (fresh.step, fresh.losses, fresh.seconds) == (2, [(0.5, 0.25), (0.4, 0.125)], 61.5)
    assert fresh.saved_at == state.saved_at
    assert fresh.sums.keys() == state.sums.keys()
    assert all(torch.equal(fresh.sums[name], value) for name, value in state.sums.items())
    for ours, theirs in zip(fresh.module.parameters(), state.module.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        for slot, value in state.optimizer.state[theirs].items():
            assert torch.equal(fresh.optimizer.state[ours][slot], value), slot
    again, expected = fresh.draws.draw(3), state.draws.draw(3)
    assert torch.equal(again.noise, expected.noise)
    assert torch.equal(again.timesteps, expected.timesteps)
    assert torch.equal(again.sentences, expected.sentences)


def test_a_run_is_known_by_all_that_decides_its_outcome(tiny_base, quick, make_crops) -> None:
    crops = make_crops()
    key = run_key(tiny_base, crops, quick)
    others = [
        run_key(tiny_base, crops, replace(quick, seed=4)),
        run_key(tiny_base, crops, replace(quick, attention_weight=0.5)),
        run_key(replace(tiny_base, additions=("lora x",)), crops, quick),
        run_key(replace(tiny_base, fingerprint="sd1:other"), crops, quick),
        run_key(replace(tiny_base, dtype=torch.bfloat16), crops, quick),
        run_key(replace(tiny_base, device=torch.device("meta")), crops, quick),
        run_key(tiny_base, [replace(crops[0], photo_sha256="other"), crops[1]], quick),
        run_key(tiny_base, [replace(crops[0], image=crops[1].image), crops[1]], quick),
        run_key(tiny_base, [replace(crops[0], others=(Box(0, 0, 8, 8),)), crops[1]], quick),
        run_key(tiny_base, crops[::-1], quick),
    ]
    assert all(other != key for other in others)
    assert len({repr(other) for other in others}) == len(others)
    same = run_key(tiny_base, crops, replace(quick, checkpoint_every=7, device="cpu", precision="float32"))
    assert same == key, "how often it is saved changes nothing; device and precision are compared as they came out"


def test_a_checkpoint_of_another_seed_is_refused(tiny_base, quick, make_crops, tmp_path) -> None:
    train_identity(tiny_base, make_crops(), quick, tmp_path)
    with pytest.raises(CheckpointError, match="seed is 3 there and 4 here"):
        train_identity(tiny_base, make_crops(), replace(quick, seed=4), tmp_path, resume=True)

"""Hub ids, against a local stand-in for the hub: downloads, revisions, variants, and what cannot be had.

Where the hub is, its client reads when it is imported; so each side runs in a process of its own.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faceid_cli.model_files import fingerprint_of
from faceid_cli.model_files.source import hub_hint, hub_reason

_SPEC = importlib.util.spec_from_file_location("hub", Path(__file__).with_name("hub.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
hub = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hub)

ASK = """
import json, sys
from faceid_cli.errors import FaceIDError
from faceid_cli.model_files import check_model, fingerprint_of, model_path

for source, variant in json.loads(sys.argv[1]):
    try:
        found = [check_model(source, variant), fingerprint_of(source, variant), str(model_path(source, variant))]
    except FaceIDError as error:
        found = [type(error).__name__, error.message, error.hint]
    print(json.dumps(found), flush=True)
"""


def ask(endpoint: str, home: Path, questions: list[tuple[str, str | None]], offline: bool = False) -> list[list[str]]:
    """Ask for family, fingerprint and folder of hub models, in a process of its own."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-c", ASK, json.dumps(questions)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def pickled(half_only, tmp_path_factory) -> Path:
    """A repository that has its weights as pickles only."""
    folder = Path(shutil.copytree(half_only, tmp_path_factory.mktemp("pickled") / "model"))
    for file in folder.rglob("*.safetensors"):
        file.rename(file.with_name(f"{file.name.split('.')[0]}.bin"))
    return folder


@pytest.fixture(scope="module")
def half_only(tiny_families, tmp_path_factory) -> Path:
    """A repository that has its weights as a variant only."""
    folder = Path(shutil.copytree(tiny_families("sd1").folder, tmp_path_factory.mktemp("half") / "model"))
    for file in folder.rglob("*.safetensors"):
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    return folder


@pytest.mark.slow
def test_hub_models_are_downloaded_once_and_then_read_offline(tiny_families, half_only, pickled, tmp_path):
    folder = tiny_families("sd1").folder
    expected = fingerprint_of(str(folder))
    repositories = {
        "someone/tiny": folder,
        "someone/half": half_only,
        "someone/locked": "gated",
        "someone/old": pickled,
        "someone/single": folder / "unet",
    }
    asked = [
        ("someone/tiny", None),
        ("someone/tiny@v2", None),
        ("someone/half", None),
        ("someone/half", "fp16"),
        ("someone/tiny@v3", None),
        ("someone/locked", None),
        ("someone/nothing", None),
        ("someone/tiny", "fp16"),
        ("someone/old", None),
        ("someone/single", None),
    ]
    with hub.hub_of(repositories) as (endpoint, requests):
        found = ask(endpoint, tmp_path, asked)
        assert [each[:2] for each in found[:4]] == [["sd1", expected]] * 4
        assert hub.COMMIT in found[0][2]
        assert not any(".bin" in line or ".ckpt" in line for line in requests)
        weights = [line for line in requests if line.startswith("GET /someone/tiny/") and "unet/diffusion" in line]
        assert len(weights) == 1  # the second revision is the same commit
    revision, locked, nothing, variant, old, single = found[4:]
    assert revision[0] == "ModelNotFoundError"
    assert revision[1].endswith("could not be downloaded: it has no such revision")
    assert locked[1].endswith("its owner wants you to agree to terms first")
    assert locked[2] == "agree on https://huggingface.co/someone/locked, then log in with: hf auth login"
    assert nothing[1].endswith("there is no such model, or it is private")
    assert "log in" in nothing[2]
    assert "fp16" in variant[1]
    assert old[1].endswith("could not be downloaded: it has no safetensors weights")

    assert single[1].endswith("it has no model_index.json, so it is no folder of diffusers")
    assert "hf download someone/single FILE" in single[2]

    again = ask("http://127.0.0.1:9", tmp_path, [*asked[:4], ("someone/other", None)], offline=True)
    assert again[:4] == found[:4]
    assert again[4][0] == "ModelNotFoundError"
    assert "hf download someone/other" in again[4][2]


def test_a_full_disk_is_named_whatever_hides_it():
    error = RuntimeError("something went wrong")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    reason = hub_reason(error)
    assert reason == "the disk is full"
    assert "HF_HOME" in hub_hint("someone/tiny", reason)

"""weights list, path, fetch, verify."""

import hashlib
import json

import pytest

from faceid_cli.kept import paths, weights
from faceid_cli.kept.weights import KNOWN_WEIGHTS, Weights


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Weights whose source is a local file."""
    file = tmp_path / "source.pth"
    file.write_bytes(b"detector")
    known = Weights("d.pth", hashlib.sha256(b"detector").hexdigest(), file.as_uri(), "finding", megabytes=1)
    monkeypatch.setitem(KNOWN_WEIGHTS, "face-detection", known)
    return file


def test_list_shows_what_there_is_and_what_is_here(faceid, source) -> None:
    answer = faceid("weights", "list")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "SIZE", "WHAT", "FOR"]
    assert lines[1].split() == ["face-detection", "missing", "1", "MB", "finding"]
    assert faceid("weights", "list", "-q").out == ""
    faceid("weights", "fetch", "face-detection")
    assert faceid("weights", "list").out.splitlines()[1].split()[1] == "here"
    assert faceid("weights", "list", "-q").out == "face-detection\n"
    data = faceid("weights", "list", "--json").data
    assert [entry["name"] for entry in data["weights"]] == list(KNOWN_WEIGHTS)
    assert {"name", "state", "path", "source", "sha256", "megabytes", "purpose"} == set(data["weights"][0])


def test_path_says_where_to_put_it_by_hand(faceid, source) -> None:
    answer = faceid("weights", "path", "face-detection")
    assert answer.out == f"{paths.weights_dir() / 'd.pth'}\n"
    assert source.as_uri() in answer.err
    paths.weights_dir().mkdir(parents=True)
    (paths.weights_dir() / "d.pth").write_bytes(b"detector")
    assert faceid("weights", "verify", "face-detection").code == 0


def test_fetch_gets_it_once_and_says_from_where(faceid, source) -> None:
    answer = faceid("weights", "fetch", "face-detection")
    assert answer.code == 0
    assert answer.out == f"face-detection is at {paths.weights_dir() / 'd.pth'}\n"
    assert source.as_uri() in answer.err
    source.unlink()
    assert faceid("weights", "fetch", "face-detection", "-q").out == f"{paths.weights_dir() / 'd.pth'}\n"


def test_without_a_source_the_error_names_file_place_and_source(faceid, source) -> None:
    source.unlink()
    answer = faceid("weights", "fetch", "face-detection")
    assert answer.code == 5
    assert source.as_uri() in answer.err
    assert str(paths.weights_dir() / "d.pth") in answer.err


def test_verify_finds_other_content(faceid, source) -> None:
    assert faceid("weights", "verify").code == 0  # what nobody asked for may be missing
    assert faceid("weights", "verify", "face-detection").code == 1
    faceid("weights", "fetch", "face-detection")
    (paths.weights_dir() / "d.pth").write_bytes(b"something else")
    answer = faceid("weights", "verify", "--json")
    assert answer.code == 1
    assert answer.data["sound"] is False
    assert answer.data["weights"][0]["state"] == "wrong"
    assert faceid("weights", "verify").out.splitlines()[0].startswith("wrong    face-detection: ")


@pytest.mark.parametrize("part", ["path", "fetch", "verify"])
def test_unknown_names(faceid, part) -> None:
    answer = faceid("weights", part, "nonsense")
    assert answer.code == 2
    assert "unknown weights 'nonsense'" in answer.err
    assert "face-recognition" in answer.err


def test_the_commands_need_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from faceid_cli.cli.app import main;"
        "assert main(['weights', 'list', '--json']) == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["command"] == "weights list"
    assert weights.KNOWN_WEIGHTS

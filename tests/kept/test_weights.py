"""weights.py: pinned files, refused when missing or different."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from faceid_cli.errors import OutputError, UsageError, WeightsMissingError
from faceid_cli.kept import paths, weights


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> weights.Weights:
    """Known weights of four bytes whose source is a file, with an empty home."""
    monkeypatch.setenv("FACEID_HOME", str(tmp_path / "home"))
    source = tmp_path / "source.pth"
    source.write_bytes(b"tiny")
    known = weights.Weights("tiny.pth", hashlib.sha256(b"tiny").hexdigest(), source.as_uri(), "testing")
    monkeypatch.setitem(weights.KNOWN_WEIGHTS, "tiny", known)
    return known


def test_missing_weights_say_which_where_and_whence(tiny: weights.Weights) -> None:
    with pytest.raises(WeightsMissingError) as caught:
        weights.local_weights("tiny")
    assert caught.value.message == f"weights for testing are missing: {paths.weights_dir() / 'tiny.pth'}"
    assert caught.value.hint == f"run `faceid weights fetch tiny`, or download {tiny.source} and put it there"
    assert caught.value.exit_code == 5


def test_other_content_is_refused(tiny: weights.Weights) -> None:
    paths.weights_dir().mkdir(parents=True)
    (paths.weights_dir() / "tiny.pth").write_bytes(b"other")
    with pytest.raises(WeightsMissingError, match=r"is not the file it should be"):
        weights.local_weights("tiny")


def test_fetching_puts_the_checked_file_in_place(tiny: weights.Weights) -> None:
    path = weights.fetch_weights("tiny")
    assert path.read_bytes() == b"tiny"
    assert weights.local_weights("tiny") == path
    assert weights.fetch_weights("tiny") == path
    assert list(path.parent.iterdir()) == [path]


def test_a_wrong_download_is_not_kept(tiny: weights.Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.KNOWN_WEIGHTS, "tiny", replace(tiny, sha256="0" * 64))
    with pytest.raises(WeightsMissingError, match=r"other content than expected"):
        weights.fetch_weights("tiny")
    assert list(paths.weights_dir().iterdir()) == []


def test_a_failed_download_says_what_to_do(tiny: weights.Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.KNOWN_WEIGHTS, "tiny", replace(tiny, source="file:///nowhere/x.pth"))
    with pytest.raises(WeightsMissingError, match=r"cannot download") as caught:
        weights.fetch_weights("tiny")
    assert "put it at" in (caught.value.hint or "")
    assert list(paths.weights_dir().iterdir()) == []


def test_an_unwritable_home(tiny: weights.Weights) -> None:
    paths.home().write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"cannot write .*tiny.pth: Not a directory"):
        weights.fetch_weights("tiny")


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match=r"unknown weights 'x'") as caught:
        weights.local_weights("x")
    assert "face-detection" in (caught.value.hint or "")


def test_the_detection_weights_have_the_pinned_hash() -> None:
    shared = Path(__file__).parents[3] / "shared" / "weights" / "detection_mobilenet0.25_Final.pth"
    if not shared.exists():
        pytest.skip("weights are not on this machine")
    known = weights.KNOWN_WEIGHTS["face-detection"]
    assert known.accepts(hashlib.sha256(shared.read_bytes()).hexdigest())
    assert shared.name == known.file_name


def test_another_file_of_the_same_content_is_accepted(tiny: weights.Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    other = hashlib.sha256(b"saved again").hexdigest()
    monkeypatch.setitem(weights.KNOWN_WEIGHTS, "tiny", replace(tiny, same_content=(other,)))
    path = weights.weights_path("tiny")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"saved again")
    assert weights.local_weights("tiny") == path
    assert weights.weights_state("tiny").state == "ok"


def test_states(tiny: weights.Weights) -> None:
    assert weights.weights_state("tiny").state == "missing"
    path = weights.fetch_weights("tiny")
    assert weights.weights_state("tiny").state == "ok"
    path.write_bytes(b"other")
    assert weights.weights_state("tiny", read=False).state == "ok"
    assert weights.weights_state("tiny").state == "wrong"


def test_every_file_has_one_name_one_digest_and_a_secure_source() -> None:
    known = weights.KNOWN_WEIGHTS.values()
    assert len({entry.file_name for entry in known}) == len(known)
    assert len({entry.sha256 for entry in known}) == len(known)
    for entry in known:
        assert entry.source == f"https://{entry.source.removeprefix('https://')}"
        assert entry.source.endswith(f"/{Path(entry.file_name).name}")
        assert len(entry.sha256) == 64
        assert entry.megabytes > 0


def test_a_network_of_several_files_is_known_with_all_of_them() -> None:
    assert weights.with_parts(["face-parsing", "clip", "clip-config"]) == [
        *("face-parsing", "clip", "clip-config", "clip-tokenizer")
    ]
    files = {Path(weights.KNOWN_WEIGHTS[name].file_name) for name in weights.with_parts(["clip"])}
    assert files == {Path("clip") / name for name in ("model.safetensors", "config.json", "tokenizer.json")}
    with pytest.raises(UsageError, match="unknown weights 'klip'"):
        weights.with_parts(["klip"])

"""Identity files: what is written comes back, and nothing else is accepted."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from faceid_cli.errors import IdentityFileError, OutputError
from faceid_cli.kept.identity_file import IdentityMetadata, load_identity, save_identity

METADATA = IdentityMetadata("alice", "woman", "builtin", "sd1:0123", {"steps": 300}, ("ab", "cd"), "my note")


def features(stages: int = 5, vectors: int = 1, width: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    shape = (stages, vectors, width)
    return {"text_encoder": np.random.default_rng(seed).normal(size=shape).astype(np.float32)}


def write_with(path: Path, metadata: object) -> Path:
    tensors = {"text_encoder.keys": features()["text_encoder"], "text_encoder.values": features()["text_encoder"]}
    save_file(tensors, path, {"faceid": metadata if isinstance(metadata, str) else json.dumps(metadata)})
    return path


def test_round_trip(tmp_path):
    keys, values = features(seed=1), features(seed=2)
    save_identity(tmp_path / "deep" / "alice.safetensors", keys, values, METADATA)
    loaded = load_identity(tmp_path / "deep" / "alice.safetensors")
    assert np.array_equal(loaded.keys["text_encoder"], keys["text_encoder"])
    assert np.array_equal(loaded.values["text_encoder"], values["text_encoder"])
    assert loaded.metadata == METADATA
    assert loaded.keys["text_encoder"].shape[:2] == (5, 1)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["alice.safetensors"]


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        save_identity(tmp_path / name, features(), features(), METADATA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("keys", "values", "words"),
    [
        (features(), features(stages=4), "keys are (5, 1, 8), values are (4, 1, 8)"),
        (features(), {}, "not there for the same text encoders"),
        ({}, {}, "not there for the same text encoders"),
        ({"text_encoder": np.zeros((5, 8), np.float32)}, features(), "not float32 (stages, vectors, width)"),
        ({"text_encoder": np.zeros((5, 1, 8), np.float64)}, features(), "float64"),
        ({"text_encoder": np.full((5, 1, 8), np.nan, np.float32)}, features(), "not finite"),
        (features() | {"text_encoder_2": np.zeros((4, 1, 9), np.float32)},) * 2 + ("different numbers of stages",),
    ],
)
def test_impossible_features_are_not_saved(tmp_path, keys, values, words):
    with pytest.raises(IdentityFileError) as caught:
        save_identity(tmp_path / "x", keys, values, METADATA)
    assert words in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    save_identity(tmp_path / "x", features(), features(), METADATA)
    before = (tmp_path / "x").read_bytes()
    with pytest.raises(IdentityFileError):
        save_identity(tmp_path / "x", {}, {}, METADATA)
    assert (tmp_path / "x").read_bytes() == before


def test_unwritable_place_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save_identity(tmp_path / "file" / "x.safetensors", features(), features(), METADATA)


def test_no_length_of_the_header_is_taken_for_a_pickle(tmp_path):
    first_bytes = set()
    for length in range(0, 256, 4):
        metadata = replace(METADATA, note="n" * length)
        save_identity(tmp_path / "x", features(), features(), metadata)
        first_bytes.add((tmp_path / "x").read_bytes()[0])
        assert load_identity(tmp_path / "x").metadata == metadata
    assert 0x80 in first_bytes


@pytest.mark.parametrize("content", [pickle.dumps({"a": 1}), b"PK\x03\x04 a zip as torch.save writes"])
def test_pickles_are_refused(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(IdentityFileError, match="is a pickle, which can run code and is never loaded"):
        load_identity(tmp_path / "x.pt")


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a" * 10])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(IdentityFileError, match="is not a safetensors file"):
        load_identity(tmp_path / "x")


def test_missing_file(tmp_path):
    with pytest.raises(IdentityFileError, match="No such file"):
        load_identity(tmp_path / "nothing")


def test_truncated_file_is_damaged(tmp_path):
    save_identity(tmp_path / "x", features(), features(), METADATA)
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-4])
    with pytest.raises(IdentityFileError, match="is damaged"):
        load_identity(tmp_path / "x")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("{}", "has no identity metadata"),
        ("not json", "has no identity metadata"),
        ({"format": "other", "version": 1, "identity": {}}, "is not an identity"),
        ({"format": "faceid-identity", "version": 2, "identity": {}}, "is of version 2, this faceid reads up to 1"),
        ({"format": "faceid-identity", "version": "1", "identity": {}}, "is not an identity"),
        (
            {"format": "faceid-identity", "version": 1, "identity": {"name": "x"}},
            "incomplete or wrong identity",
        ),
        ({"format": "faceid-identity", "version": 1, "identity": 3}, "incomplete or wrong identity"),
    ],
)
def test_foreign_metadata_is_refused(tmp_path, metadata, words):
    with pytest.raises(IdentityFileError) as caught:
        load_identity(write_with(tmp_path / "x", metadata))
    assert words in caught.value.message
    assert caught.value.exit_code == 11


def test_file_without_metadata_is_refused(tmp_path):
    save_file({"text_encoder.keys": np.zeros((5, 1, 8), np.float32)}, tmp_path / "x")
    with pytest.raises(IdentityFileError, match="has no identity metadata"):
        load_identity(tmp_path / "x")


def test_unknown_fields_of_a_later_minor_version_are_ignored(tmp_path):
    identity = {**vars(METADATA), "photo_hashes": ["ab", "cd"], "colour": "blue"}
    path = write_with(tmp_path / "x", {"format": "faceid-identity", "version": 1, "identity": identity})
    assert load_identity(path).metadata == replace(METADATA)


def test_torch_is_not_needed():
    code = "import faceid_cli.kept.identity_file, faceid_cli.model_files, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def identity(**changes: object) -> dict[str, object]:
    said = {**vars(METADATA), "photo_hashes": ["ab"], **changes}
    return {"format": "faceid-identity", "version": 1, "identity": said}


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 5},
        {"extra": None},
        {"extra": {"tags": 5}},
        {"extra": {"tags": None}},
        {"extra": {"tags": [1]}},
        {"extra": {"tags": ["\ud800"]}},
        {"extra": {"consent": {}}},
        {"method": []},
        {"method": {"a": "\ud800"}},
        {"method": {"\ud800": 1}},
        {"method": {"a": 10**30}},
        {"method": {"model_options": 3}},
        {"method": {"model_options": {"variant": "../../x"}}},
        {"method": {"model_options": {"vae": 5}}},
        {"method": {"model_options": {"vae": "\\\\host\\share\\vae.safetensors"}}},
        {"method": {"model_options": {"loras": ["//host/share/x"]}}},
        {"base_model": "\\\\host\\share"},
        {"base_model": "x" * 5000},
        {"class_word": "x" * 5000},
        {"class_word": None},
        {"note": "a\0b"},
        {"name": ["alice"]},
        {"photo_hashes": "ab"},
        {"photo_hashes": [None]},
    ],
)
def test_what_no_identity_says_is_refused_as_a_whole(tmp_path, changes):
    with pytest.raises(IdentityFileError, match="x has incomplete or wrong identity metadata: ") as caught:
        load_identity(write_with(tmp_path / "x", identity(**changes)))
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("text", ['{"a": NaN}', "[" * 100_000, '{"a":' * 20_000])
def test_json_that_others_cannot_read_is_refused(tmp_path, text):
    whole = json.dumps(identity(method="HERE")).replace('"HERE"', text)
    with pytest.raises(IdentityFileError, match="has no identity metadata"):
        load_identity(write_with(tmp_path / "x", whole))


def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path):
    with open(tmp_path / "x", "wb") as file:
        file.write((200 << 20).to_bytes(8, "little") + b"{")
        file.truncate(210 << 20)
    with pytest.raises(IdentityFileError, match="its list of tensors has 209715200 bytes, and may have 16777216"):
        load_identity(tmp_path / "x")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x")
    with pytest.raises(IdentityFileError, match="it is not a file"):
        load_identity(tmp_path / "x")

"""model_files/file_hashes.py: digests by which web UIs and sites of models know a file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from faceid_cli.errors import ModelError
from faceid_cli.kept import paths
from faceid_cli.model_files.file_hashes import known_hashes, sha256_of, weights_sha256_of


def lora(path: Path, **metadata: str) -> Path:
    save_file({"a": np.ones((2, 2), dtype=np.float32)}, path, metadata=metadata or None)
    return path


def test_every_file_has_the_digest_that_sites_know_it_by(tmp_path: Path) -> None:
    model, vae = tmp_path / "mix.safetensors", tmp_path / "vae.safetensors"
    model.write_bytes(b"a checkpoint")
    vae.write_bytes(b"a vae")
    paint, ink = lora(tmp_path / "paint.safetensors", title="x"), lora(tmp_path / "ink.safetensors")
    found, of_loras = known_hashes(model, str(vae), [f"{paint}:0.5"], [ink])
    content = paint.read_bytes()
    header = int.from_bytes(content[:8], "little")
    digest = hashlib.sha256(content[8 + header :]).hexdigest()
    assert of_loras == {"paint": digest[:12]}
    assert found == {
        "model": hashlib.sha256(b"a checkpoint").hexdigest()[:10],
        "vae": hashlib.sha256(b"a vae").hexdigest()[:10],
        "lora:paint": digest[:12],
        "embed:ink": hashlib.sha256(ink.read_bytes()).hexdigest()[:12],
    }


def test_a_folder_has_no_digest_that_a_site_could_know(tmp_path: Path) -> None:
    assert known_hashes(tmp_path, None, (), ()) == ({}, {})


def test_words_in_the_header_do_not_make_another_lora(tmp_path: Path) -> None:
    plain, titled = lora(tmp_path / "a.safetensors"), lora(tmp_path / "b.safetensors", title="other words")
    assert weights_sha256_of(plain) == weights_sha256_of(titled)
    assert sha256_of(plain) != sha256_of(titled)


def test_a_digest_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "mix.safetensors"
    file.write_bytes(b"one")
    first = sha256_of(file)
    assert first in paths.fingerprints_file().read_text()
    status = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert sha256_of(file) == first, "size and time are those of the file that was read"
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert sha256_of(file) == hashlib.sha256(b"two").hexdigest()


def test_files_that_are_none_are_errors_in_words(tmp_path: Path) -> None:
    (tmp_path / "short.safetensors").write_bytes(b"abc")
    (tmp_path / "sly.safetensors").write_bytes(b"\xff" * 16)
    for name in ("short.safetensors", "missing.safetensors", "sly.safetensors"):
        with pytest.raises(ModelError, match=name):
            weights_sha256_of(tmp_path / name)

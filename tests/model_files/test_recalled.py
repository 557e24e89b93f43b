"""What takes reading whole weights is worked out once, whoever asks, and while something else is being done."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest

from faceid_cli.kept import paths
from faceid_cli.model_files import ahead, fingerprint_of, read_ahead
from faceid_cli.model_files.fingerprint import files_of
from faceid_cli.model_files.recalled import Reading, being_read, recalled


def test_threads_that_want_the_same_wait_for_the_one_that_computes_it(tmp_path) -> None:
    (tmp_path / "weights").write_bytes(b"1234")
    computed, found = [], []

    def compute(reading: Reading) -> str:
        computed.append(reading)
        reading.read(1)
        assert being_read() is reading
        time.sleep(0.2)
        return "digest"

    threads = [
        threading.Thread(target=lambda: found.append(recalled([tmp_path / "weights"], compute))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["digest"] * 4
    assert len(computed) == 1
    assert (computed[0].total, computed[0].done) == (4, 1)
    assert computed[0].seconds_left is not None
    assert being_read() is None


def test_what_others_found_meanwhile_stays_remembered(tmp_path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")

    def compute(reading: Reading) -> str:
        recalled([tmp_path / "two"], lambda _: "second")
        return "first"

    def never(reading: Reading) -> str:
        raise AssertionError("it is known")

    recalled([tmp_path / "one"], compute)
    assert recalled([tmp_path / "one"], never) == "first"
    assert recalled([tmp_path / "two"], never) == "second"


def test_what_failed_is_not_remembered(tmp_path) -> None:
    (tmp_path / "weights").write_bytes(b"1")

    def fail(reading: Reading) -> str:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        recalled([tmp_path / "weights"], fail)
    assert being_read() is None
    assert recalled([tmp_path / "weights"], lambda _: "found") == "found"


def test_reading_ahead_works_the_fingerprint_out(tiny_model_dir) -> None:
    read_ahead(str(tiny_model_dir))
    _finish()
    remembered = paths.fingerprints_file().read_text()
    assert fingerprint_of(str(tiny_model_dir)) in remembered
    assert paths.fingerprints_file().read_text() == remembered, "it was known"


def test_who_reads_ahead_leaves_errors_to_others(monkeypatch, tmp_path) -> None:
    unhandled: list[object] = []
    monkeypatch.setattr(threading, "excepthook", unhandled.append)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    for source in ("nowhere", tmp_path / "empty", tmp_path / "bad.safetensors"):
        read_ahead(str(source))
    _finish()
    assert unhandled == []


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="the system does not tell what of a file is in memory")
def test_what_is_on_disk_alone_is_read(monkeypatch, tiny_model_dir) -> None:
    """What is in memory is not read once more: of a large model that would take a second of a core."""
    sizes: list[int] = []
    real = os.preadv

    def noted(file: int, buffers: list[bytearray], offset: int, flags: int = 0) -> int:
        if flags == os.RWF_NOWAIT:
            if not in_memory:
                raise BlockingIOError(errno.EAGAIN, "not there")
            return 1
        sizes.append(len(buffers[0]))
        return real(file, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", noted)
    for in_memory in (False, True):
        sizes.clear()
        for path in files_of(tiny_model_dir):
            ahead._read_what_is_on_disk(path)
        chunks = sum(-(-path.stat().st_size // ahead._CHUNK_BYTES) for path in files_of(tiny_model_dir))
        assert sizes == ([] if in_memory else [ahead._CHUNK_BYTES] * chunks)


def _finish() -> None:
    for thread in list(ahead._begun.values()):
        thread.join()

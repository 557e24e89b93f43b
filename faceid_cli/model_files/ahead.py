"""Read a base model's files in the background, while what loads them is being imported."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from threading import Thread

from faceid_cli.model_files.fingerprint import files_of, fingerprint_of
from faceid_cli.model_files.source import model_path

_CHUNK_BYTES = 1 << 22
_begun: dict[tuple[str, str | None], Thread] = {}


def read_ahead(source: str, variant: str | None = None) -> None:
    """Begin to read a base model that is on this machine; returns at once.

    Importing torch and what is built on it takes seconds, in which the disk has nothing to do. What is not known of
    the weights yet, their fingerprint, is worked out meanwhile; what is known but not in memory any more is read, so
    that loading finds it there. What goes wrong is left to whoever loads the model, who meets the same.

    Args:
        source: As of `model_path`.
        variant: Of its files.
    """
    begun = _begun.get((source, variant))
    if begun is None or not begun.is_alive():
        _begun[source, variant] = begun = Thread(target=_read, args=(source, variant), daemon=True)
        begun.start()


def _read(source: str, variant: str | None) -> None:
    with suppress(Exception):  # of whatever kind: who loads the model meets it, too
        fingerprint_of(source, variant)
        for path in files_of(model_path(source, variant), variant):
            _read_what_is_on_disk(path)


def _read_what_is_on_disk(path: Path) -> None:
    """Bring a file into the system's memory; only where the system tells what is there already (Linux)."""
    if not hasattr(os, "RWF_NOWAIT"):
        return
    buffer, first = bytearray(_CHUNK_BYTES), bytearray(1)
    with path.open("rb", buffering=0) as file:
        for start in range(0, os.fstat(file.fileno()).st_size, _CHUNK_BYTES):
            if not _is_in_memory(file.fileno(), first, start):
                os.preadv(file.fileno(), [buffer], start)


def _is_in_memory(file: int, buffer: bytearray, start: int) -> bool:
    try:
        return os.preadv(file, [buffer], start, os.RWF_NOWAIT) > 0
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP):
            return False
        raise

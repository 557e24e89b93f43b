"""What was once computed of large files: remembered by path, size and time, computed anew where those are others."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from faceid_cli.errors import OutputError
from faceid_cli.kept import paths
from faceid_cli.kept.files import write_atomically
from faceid_cli.kept.foreign import read_json

_MOST_CACHE_BYTES = 64 * 2**20


@dataclass(eq=False)
class Reading:
    """How far files have been read, in bytes."""

    total: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def read(self, count: int) -> None:
        """So many more bytes have been read."""
        self.done += count

    @property
    def seconds_left(self) -> float | None:
        """By the pace until now; None at the beginning."""
        if not self.done:
            return None
        return (time.monotonic() - self.started) * max(self.total - self.done, 0) / self.done


_readings: list[Reading] = []
_locks: dict[str, Lock] = {}
_writing = Lock()


def recalled(files: Sequence[Path], compute: Callable[[Reading], str], kind: str = "") -> str:
    """What was once computed of files; computed anew where paths, sizes or times are others.

    Threads that want the same thing at once wait for the one that computes it.

    Args:
        files: The files.
        compute: Reads them, and tells how far it is.
        kind: What is computed, where that is something else than the fingerprint.

    Raises:
        OSError: A file is not there.
    """
    signature, size = _signature(files)
    signature += kind
    if (known := _remembered().get(signature)) is not None:
        return known
    with _locks.setdefault(signature, Lock()):
        if (known := _remembered().get(signature)) is not None:
            return known
        reading = Reading(size)
        _readings.append(reading)
        try:
            found = compute(reading)
        finally:
            _readings.remove(reading)
        with _writing:
            _remember(_remembered() | {signature: found})
        return found


def being_read() -> Reading | None:
    """How far the files are that are being read now, the first of them; None where none are."""
    return next(iter(_readings), None)


def _signature(files: Sequence[Path]) -> tuple[str, int]:
    parts, size = [], 0
    for path in files:
        status = path.stat()
        size += status.st_size
        parts.append(f"{os.path.realpath(path)}|{status.st_size}|{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest(), size


def _remembered() -> dict[str, str]:
    try:
        content = read_json(paths.fingerprints_file(), _MOST_CACHE_BYTES)
    except (OSError, ValueError):
        return {}
    known = content.items() if isinstance(content, dict) else ()
    return {signature: found for signature, found in known if isinstance(found, str)}


def _remember(known: dict[str, str]) -> None:
    with suppress(OutputError):  # only a cache: an unwritable home must not stop a run
        write_atomically(paths.fingerprints_file(), json.dumps(known, indent=1, sort_keys=True).encode())

"""One process at a time: locks that the system lets go of when their process ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from faceid_cli.kept.files import make_folder


@contextmanager
def locked(path: Path, wait_seconds: float = 0.0, is_sure: bool = False) -> Iterator[bool]:
    """Hold a lock while the context lasts; yields whether it could be had.

    The lock is a file, which goes again with the lock. So whoever has opened it may find that it is another's, or
    nobody's, by the time that it is theirs: then all begins anew.

    Args:
        path: The file; its folder is made.
        wait_seconds: How long to wait for another process.
        is_sure: Whether it counts as another's on file systems without locks; else it can always be had there.

    Raises:
        OSError: The file cannot be made.
    """
    make_folder(path.parent)
    file = _taken(path, time.monotonic() + wait_seconds, is_sure)
    if file is None:
        yield False
        return
    try:
        yield True
    finally:
        if sys.platform == "win32":
            file.close()  # Windows deletes no open file, and none that another process has opened meanwhile
        with suppress(OSError):
            path.unlink()
        file.close()


def _taken(path: Path, give_up: float, is_sure: bool) -> IO[bytes] | None:
    while True:
        try:
            file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")  # noqa: SIM115
        except PermissionError:
            if sys.platform != "win32":  # there, another process is just deleting it
                raise
        else:
            if not _lock(file, is_sure):
                file.close()
            elif _is_still(file, path):
                return file
            else:  # its last holder has deleted it, and the next one makes another
                file.close()
                continue
        if time.monotonic() >= give_up:
            return None
        time.sleep(0.005)


def _is_still(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:
        return False


def _lock(file: IO[bytes], is_sure: bool) -> bool:
    """Take the lock of an open file; False where another process has it, or may have it and we are to be sure."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return not is_sure
    return True

"""Writing files whole or not at all: the one place where anything that is to last is written."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faceid_cli.errors import OutputError

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old one or the whole new one, even after a crash.

    Raises:
        OutputError: It cannot be written there.
    """
    with replacing(path) as scratch:
        _write(scratch, content)


def write_new(content: bytes, folder: Path, names: Iterable[Path]) -> Path:
    """Write a file under the first of some names that is free; never over an existing one, whoever takes it meanwhile.

    Args:
        content: Of the file.
        folder: Where the names are.
        names: Without end, so that one is free.

    Raises:
        OSError: It cannot be written there.
    """
    scratch = _scratch(folder)
    try:
        _write(scratch, content)
        return next(path for path in names if _claim(scratch, path))
    finally:
        scratch.unlink(missing_ok=True)


def clear_scratch(folder: Path, older_than: float = 600.0) -> None:
    """Remove what writers that were killed left behind; files that were touched lately may be somebody's at work.

    Args:
        folder: Where they lie.
        older_than: Seconds since the last change.
    """
    for scratch in folder.glob(".faceid-*.tmp"):
        with suppress(OSError):
            if time.time() - scratch.stat().st_mtime > older_than:
                scratch.unlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a scratch file beside `path` to be written; it takes the name if all goes well, and goes if not.

    Raises:
        OutputError: It cannot be written there.
    """
    scratch = _scratch(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        os.replace(scratch, path)
    except OSError as error:
        hint = "free some disk space, or choose another place" if error.errno in _FULL_DISK else "choose another place"
        raise OutputError(f"cannot write {path}: {error.strerror or error}", hint) from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Try it: permission bits do not tell of read-only file systems, access lists and network folders.

    Raises:
        OSError: It cannot be written.
    """
    probe = _scratch(folder)
    probe.touch(exist_ok=False)
    probe.unlink()


def output_error(path: Path, error: OSError) -> OutputError:
    """The message for a failed write: what, where, and what to do."""
    if error.errno in _FULL_DISK:
        return OutputError(f"cannot write to {path}: no space left", "free some space or give another folder with -o")
    if error.errno in (errno.EACCES, errno.EPERM):
        return OutputError(f"cannot write to {path}: permission denied", "give a folder of your own with -o")
    if error.errno == errno.EROFS:
        return OutputError(f"cannot write to {path}: the file system is read-only", "give another folder with -o")
    return OutputError(f"cannot write to {path}: {(error.strerror or str(error)).lower()}", "give another path with -o")


def _scratch(folder: Path) -> Path:
    return folder / f".faceid-{secrets.token_hex(8)}.tmp"


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _claim(scratch: Path, path: Path) -> bool:
    """Give the finished file its name; False where the name is taken, by whomever and since whenever."""
    try:
        os.link(scratch, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EMLINK):
            raise
        return _claim_without_links(scratch, path)
    return True


def _claim_without_links(scratch: Path, path: Path) -> bool:
    """The same on file systems without hard links: take the name with an empty file, then replace that."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    os.replace(scratch, path)
    return True

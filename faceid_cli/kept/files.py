"""Writing files whole or not at all: the one place where anything that is to last is written."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faceid_cli.errors import OutputError
from faceid_cli.kept import paths

# A file that is being written is not older.
_OLD_SECONDS = 3600.0
_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_writable(file: Path) -> bool:
    """Whether a database can be written: the file, and its folder, where SQLite keeps a journal."""
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)


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
    scratch = _scratch(folder / "new")
    try:
        _write(scratch, content)
        return next(path for path in names if _claim(scratch, path))
    finally:
        scratch.unlink(missing_ok=True)


def old_scratches(folder: Path, below: bool = False) -> list[Path]:
    """What writers that were killed left behind; files that were touched within an hour may be somebody's at work.

    Args:
        folder: Where they lie.
        below: Whether folders in it are searched, too.
    """
    found = []
    for scratch in folder.glob("**/.faceid-*.tmp" if below else ".faceid-*.tmp"):
        with suppress(OSError):  # it has gone meanwhile
            if time.time() - scratch.stat().st_mtime > _OLD_SECONDS:
                found.append(scratch)
    return found


def is_scratch(path: Path) -> bool:
    """Whether a file is one that is being written, or what a writer that was killed left behind."""
    return path.name.startswith(".faceid-") and path.suffix == ".tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a scratch file beside `path` to be written; it takes the name if all goes well, and goes if not.

    Raises:
        OutputError: It cannot be written there.
    """
    scratch = _scratch(path)
    try:
        make_folder(path.parent)
        yield scratch
        if _is_private(path):
            scratch.chmod(0o600)
        os.replace(scratch, path)
        _sync_folder(path.parent)
    except OSError as error:
        hint = "free some disk space, or choose another place" if error.errno in _FULL_DISK else "choose another place"
        raise OutputError(f"cannot write {path}: {error.strerror or error}", hint) from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; in faceid's home they are for their owner only.

    Raises:
        OSError: It cannot be made.
    """
    for each in reversed([folder, *folder.parents]):
        if not each.exists():
            each.mkdir(0o700 if _is_private(each) else 0o777, exist_ok=True)


def make_private(folder: Path) -> None:
    """Let only the owner read the files in a folder of faceid's home, which others have written there.

    Raises:
        OSError: That cannot be done.
    """
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o600)


def scratches_of(path: Path) -> list[Path]:
    """What a process that was killed has left of writing this file."""
    return sorted(path.parent.glob(f".faceid-{_key(path)}-*.tmp"))


def check_writable(folder: Path) -> None:
    """Try it: permission bits do not tell of read-only file systems, access lists and network folders.

    Raises:
        OSError: It cannot be written.
    """
    probe = _scratch(folder / "probe")
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


def _scratch(path: Path) -> Path:
    """A name of its own, of a length of its own: that of the file may be as long as can be."""
    return path.with_name(f".faceid-{_key(path)}-{secrets.token_hex(8)}.tmp")


def _key(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]


def _is_private(path: Path) -> bool:
    """Whether it is of faceid's home, where everything is about people."""
    return path.absolute().is_relative_to(paths.home().absolute())


def _write(path: Path, content: bytes) -> None:
    mode = 0o600 if _is_private(path) else 0o666
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Let the new name outlast a power failure, too; not every system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


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

"""Folders that are not of this machine's file system: `s3://bucket/folder`, `memory://folder` and the like, by fsspec.

Such a place is a path whose first part is the protocol with its colon (`s3:/bucket/folder`), so that names are made of
it as of any other path. Nothing but this module reads and writes there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from faceid_cli.errors import OutputError, UsageError

Found = TypeVar("Found")
_URL = re.compile(r"([a-z][a-z0-9+]+):/{1,2}(?!/)(.*)", re.DOTALL)
_PROTOCOL = re.compile(r"[a-z][a-z0-9+]+:")


def remote_path(text: Path | str) -> Path | None:
    """A place elsewhere as a path; None for what is a path of this machine.

    Raises:
        UsageError: fsspec knows no such protocol, or a package for it is missing.
    """
    found = _URL.match(str(text))
    if found is None or not found[2]:
        return None
    path = Path(f"{found[1]}:", found[2])
    _file_system(found[1])
    return path


def local_path(text: Path | str) -> str:
    """What stands behind `file://`; anything else as it is."""
    return re.sub(r"^file:/{0,2}(?=/)", "", str(text))


def is_remote(path: Path) -> bool:
    """Whether a path is one of `remote_path`."""
    return bool(path.parts) and _PROTOCOL.fullmatch(path.parts[0]) is not None


def shown_path(path: Path | None) -> str:
    """A path as people write it."""
    if path is None or not is_remote(path):
        return str(path)
    return f"{path.parts[0]}//{'/'.join(path.parts[1:])}"


def whole_path(path: Path) -> Path:
    """The path from the root on; of places elsewhere they all are."""
    return path if is_remote(path) else path.absolute()


def files_below(folder: Path) -> list[Path]:
    """All files in a folder elsewhere, and in those within it.

    Raises:
        OutputError: It cannot be looked at.
    """

    def listed(system: Any, where: str) -> list[Path]:
        system.invalidate_cache()
        start, depth = where.strip("/"), len(where.strip("/").split("/"))
        names = (name.strip("/").split("/") for name in system.find(where))
        return sorted(folder.joinpath(*parts[depth:]) for parts in names if "/".join(parts[:depth]) == start)

    return _asked(folder, "look into", listed)


def read_remote(path: Path) -> bytes:
    """A file elsewhere.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    system, where = _located(path)
    with _as_os_errors(path):
        content: bytes = system.cat_file(where)
        return content


def write_remote(path: Path, content: bytes) -> None:
    """Write a file, over one that is there.

    Raises:
        OutputError: It cannot be written.
    """
    _asked(path, "write", lambda system, where: system.pipe_file(where, content))


def write_remote_new(content: bytes, names: Iterable[Path]) -> Path:
    """Write a file under the first of some names that is free.

    Raises:
        OutputError: It cannot be written.
    """

    def written(system: Any, where: str) -> bool:
        try:
            if system.exists(where):
                return False
            system.pipe_file(where, content)
        except FileExistsError:
            return False
        return True

    return next(path for path in names if _asked(path, "write", written))


def remove_remote(path: Path) -> None:
    """Delete a file, if it is there."""

    def gone(system: Any, where: str) -> None:
        with suppress(FileNotFoundError):
            system.rm_file(where)

    _asked(path, "delete", gone)


def _located(path: Path) -> tuple[Any, str]:
    """The file system of a place elsewhere, and what it calls the place."""
    protocol = path.parts[0].removesuffix(":")
    system = _file_system(protocol)
    return system, str(system._strip_protocol(shown_path(path)))


@cache
def _file_system(protocol: str) -> Any:
    import fsspec

    try:
        return fsspec.filesystem(protocol)
    except ImportError as error:
        raise UsageError(
            f"{protocol}:// needs a package that is missing: {error}", "install it beside faceid"
        ) from error
    except ValueError as error:
        raise UsageError(f"nothing is known of {protocol}://", "such as s3://bucket/folder, or a folder") from error
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{protocol}:// cannot be used: {reason}", "it is fsspec that goes there") from error


def _asked(path: Path, what: str, ask: Callable[[Any, str], Found]) -> Found:
    system, where = _located(path)
    try:
        with _as_os_errors(path):
            return ask(system, where)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise OutputError(
            f"cannot {what} {shown_path(path)}: {reason}", "check the address and who may write"
        ) from error


@contextmanager
def _as_os_errors(path: Path) -> Iterator[None]:
    """Packages of clouds raise what they like."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error

"""What goes wrong with the registry's file, in plain words. Needs no SQLModel."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from faceid_cli.errors import FaceIDError, OutputError, RegistryError, UnknownNameError
from faceid_cli.orders.checks import check_text

# SQLite needs a shared-memory file of 32 KiB and a write-ahead log beside the database, even to read it.
_LEAST_FREE_BYTES = 128 * 1024


@contextmanager
def plain_sqlite_errors(file: Path | None) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises:
        RegistryError: The file is damaged, locked or cannot be written.
        OutputError: The disk is full.
        UsageError: Something that is to be kept is not UTF-8.
    """
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as error:
        raise translated(error, file) from error
    except UnicodeEncodeError as error:  # nothing but text is ever bound to a statement
        check_text("the registry", str(error.object))
        raise


def unknown_name(name: str, known: Sequence[str]) -> UnknownNameError:
    """The error for a name that nobody has, with the nearest ones."""
    by_key = {entry.lower(): entry for entry in known}
    near = [by_key[key] for key in get_close_matches(name.lower(), by_key, n=3)]
    if near:
        return UnknownNameError(f"no identity is called {name!r}", f"did you mean {' or '.join(near)}?")
    return UnknownNameError(f"no identity is called {name!r}", "`faceid list` shows the names")


def translated(error: Exception, file: Path | None) -> FaceIDError:
    """The error of ours for one of SQLite or of the system."""
    text = str(error).lower()
    if "disk is full" in text or getattr(error, "errno", None) == errno.ENOSPC or _has_no_room(text, file):
        return OutputError(f"no space left for the registry {file}", "free some disk space and try again")
    if "locked" in text or "busy" in text:
        return RegistryError(
            f"the registry {file} is in use by another program", "wait until it has finished and try again"
        )
    if "malformed" in text or "not a database" in text or "disk image" in text:
        return RegistryError(
            f"the registry {file} is damaged", "put a backup in its place, or move it away to begin anew"
        )
    if "readonly database" in text:
        return not_writable(file)
    return RegistryError(
        f"the registry {file} cannot be used: {error}", "check the folder's permissions, or set FACEID_HOME"
    )


def not_writable(file: Path | None) -> RegistryError:
    """The error for a registry that can only be read."""
    return RegistryError(f"the registry {file} cannot be written", "check its permissions, or set FACEID_HOME")


def _has_no_room(text: str, file: Path | None) -> bool:
    """Whether an unspecific failure comes from a full disk: SQLite says so only of the database file itself."""
    if file is None or "disk i/o" not in text:
        return False
    try:
        return shutil.disk_usage(file.parent).free < _LEAST_FREE_BYTES
    except OSError:
        return False

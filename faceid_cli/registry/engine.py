"""Opening the SQLite file: transactions that really roll back, foreign keys, and errors in plain words."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool, StaticPool
from sqlmodel import create_engine

from faceid_cli.errors import FaceIDError, OutputError, RegistryError
from faceid_cli.orders.checks import check_text

# How long a writer waits for another one before it gives up.
BUSY_SECONDS = 10.0

# SQLite needs a shared-memory file of 32 KiB and a write-ahead log beside the database, even to read it.
_LEAST_FREE_BYTES = 128 * 1024


def make_engine(file: Path | None) -> Engine:
    """Return an engine for the file, or for an empty database in memory.

    pysqlite opens transactions late and never around CREATE TABLE, so a failing migration would leave half of its work
    behind. Therefore the driver's own handling is switched off and every transaction begins with BEGIN IMMEDIATE.
    Engines with the execution option `read_only=True` take no write lock.
    """
    if file is None:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        # No pool: a connection that is closed leaves no lock and no write-ahead log behind.
        engine = create_engine(
            URL.create("sqlite", database=str(file)), poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}
        )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # who is removed is overwritten, not only forgotten
        if file is not None:
            _write_ahead(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging, once and for all.

    SQLite does not wait for its lock here, whatever the timeout, so two processes that create one registry collide.
    """
    give_up = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


@contextmanager
def plain_errors(file: Path | None) -> Iterator[None]:
    """Turn the database's errors into ours.

    Raises:
        RegistryError: The file is damaged, locked or cannot be written.
        OutputError: The disk is full.
        UsageError: Something that is to be kept is not UTF-8.
    """
    try:
        yield
    except DatabaseError as error:
        raise _translated(error.orig if isinstance(error.orig, Exception) else error, file) from error
    except sqlite3.DatabaseError as error:
        raise _translated(error, file) from error
    except OSError as error:
        raise _translated(error, file) from error
    except UnicodeEncodeError as error:  # nothing but text is ever bound to a statement
        check_text("the registry", str(error.object))
        raise


def _translated(error: Exception, file: Path | None) -> FaceIDError:
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
    return RegistryError(
        f"the registry {file} cannot be used: {error}", "check the folder's permissions, or set FACEID_HOME"
    )


def _has_no_room(text: str, file: Path | None) -> bool:
    """Whether an unspecific failure comes from a full disk: SQLite says so only of the database file itself."""
    if file is None or "disk i/o" not in text:
        return False
    try:
        return shutil.disk_usage(file.parent).free < _LEAST_FREE_BYTES
    except OSError:
        return False

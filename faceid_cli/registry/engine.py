"""Opening the SQLite file: transactions that really roll back, foreign keys, and errors in plain words."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool, StaticPool
from sqlmodel import create_engine

from faceid_cli.errors import FaceIDError, OutputError, RegistryError
from faceid_cli.orders.checks import check_text
from faceid_cli.registry.damage import json_from, text_from
from faceid_cli.registry.forgetting import BUSY_SECONDS

# SQLite needs a shared-memory file of 32 KiB and a write-ahead log beside the database, even to read it.
_LEAST_FREE_BYTES = 128 * 1024


def make_engine(file: Path | None) -> Engine:
    """Return an engine for the file, or for an empty database in memory.

    pysqlite opens transactions late and never around CREATE TABLE, so a failing migration would leave half of its work
    behind. Therefore the driver's own handling is switched off and every transaction begins with BEGIN IMMEDIATE.
    Engines with the execution option `read_only=True` take no write lock.
    """
    if file is None:
        engine = create_engine(
            "sqlite://",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            json_deserializer=json_from,
        )
    else:
        # No pool: a connection that is closed leaves no lock and no write-ahead log behind.
        engine = create_engine(
            URL.create("sqlite", database=str(file)),
            poolclass=NullPool,
            connect_args={"timeout": BUSY_SECONDS},
            json_deserializer=json_from,
        )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.text_factory = text_from
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # who is removed is overwritten, not only forgotten
        if file is not None:
            _write_ahead(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def is_writable(file: Path) -> bool:
    """Whether the registry can be written: the file, and its folder, where SQLite keeps a journal."""
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)


def make_copy(file: Path) -> Engine:
    """Return an engine for a copy in memory of a file that cannot be written; SQLite needs to write even to read it."""
    engine = make_engine(None)
    copy = engine.raw_connection()
    try:
        assert isinstance(copy.driver_connection, sqlite3.Connection)
        _read_into(copy.driver_connection, file)
    finally:
        copy.close()
    return engine


def forbid_writing(engine: Engine) -> None:
    """Let everything that would change a copy in memory be an error, so that nothing is lost without a word."""
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")


def _read_into(copy: sqlite3.Connection, file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as source:
            source.backup(copy)
            return
    except sqlite3.OperationalError as error:
        if "unable to open" not in str(error) and "readonly" not in str(error):
            raise
    with tempfile.TemporaryDirectory(prefix="faceid-") as folder:  # where the log can be read together with the file
        there = Path(folder) / file.name
        for name in (file.name, f"{file.name}-wal"):
            if file.with_name(name).exists():
                shutil.copyfile(file.with_name(name), there.with_name(name))
        with closing(sqlite3.connect(there)) as source:
            source.backup(copy)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging, once and for all, where it can be had.

    On network drives it cannot: SQLite then says which journal it keeps instead, and that will do. SQLite does not wait
    for its lock here, whatever the timeout, so two processes that create one registry collide.
    """
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "unable to open" in str(error):
                _without_shared_memory(connection)
                return
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _without_shared_memory(connection: sqlite3.Connection) -> None:
    """Bring a file that was copied from a place with write-ahead logging to one without back to an ordinary journal.

    Who has the file to themselves needs no shared memory to read the log.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()  # lets go of the lock


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

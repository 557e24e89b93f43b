"""Opening the SQLite file: transactions that really roll back, foreign keys, and errors in plain words."""

from __future__ import annotations

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

from faceid_cli.registry.damage import json_from, text_from
from faceid_cli.registry.forgetting import BUSY_SECONDS
from faceid_cli.registry.plain_errors import plain_sqlite_errors, translated


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
    """Turn the database's errors into ours, as those of SQLite itself, whether SQLAlchemy has wrapped them or not.

    Raises:
        RegistryError, OutputError, UsageError: See `plain_errors.plain_sqlite_errors`.
    """
    with plain_sqlite_errors(file):
        try:
            yield
        except DatabaseError as error:
            raise translated(error.orig if isinstance(error.orig, Exception) else error, file) from error

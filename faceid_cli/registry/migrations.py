"""Numbered changes to the registry's schema, from the first version on. Append only: a released one is never edited.

Each change and the record of it are one transaction, so a change that fails leaves the database as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.errors import RegistryError, RegistryTooNewError
from faceid_cli.kept.locks import locked
from faceid_cli.registry.forgetting import BUSY_SECONDS, drop_half_backups, half_backup

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Migration = Callable[["Connection"], None]


def m001_initial(connection: Connection) -> None:
    """Identities, training runs and renders."""
    for statement in (
        """CREATE TABLE identities (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL COLLATE NOCASE UNIQUE,
            class_word TEXT NOT NULL,
            base_model TEXT NOT NULL,
            base_fingerprint TEXT NOT NULL,
            method JSON NOT NULL,
            photo_hashes JSON NOT NULL,
            created TEXT NOT NULL,
            tags JSON NOT NULL,
            note TEXT NOT NULL
        )""",
        """CREATE TABLE runs (
            id INTEGER NOT NULL PRIMARY KEY,
            identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
            created TEXT NOT NULL,
            seconds REAL NOT NULL,
            resumed_from INTEGER NOT NULL,
            settings JSON NOT NULL,
            losses JSON NOT NULL,
            scores JSON NOT NULL
        )""",
        "CREATE INDEX ix_runs_identity_id ON runs (identity_id)",
        """CREATE TABLE renders (
            id INTEGER NOT NULL PRIMARY KEY,
            created TEXT NOT NULL,
            path TEXT NOT NULL,
            prompt TEXT NOT NULL,
            seed INTEGER NOT NULL,
            settings JSON NOT NULL
        )""",
        """CREATE TABLE render_people (
            render_id INTEGER NOT NULL REFERENCES renders (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
            PRIMARY KEY (render_id, position)
        )""",
        "CREATE INDEX ix_render_people_identity_id ON render_people (identity_id)",
    ):
        connection.exec_driver_sql(statement)


def m002_consent(connection: Connection) -> None:
    """What the person said to being learned."""
    connection.exec_driver_sql("ALTER TABLE identities ADD COLUMN consent TEXT NOT NULL DEFAULT ''")


def m003_base_models(connection: Connection) -> None:
    """Names for base models, and how people come out on them."""
    for statement in (
        """CREATE TABLE base_models (
            name TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
            source TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            created TEXT NOT NULL
        )""",
        """CREATE TABLE base_model_scores (
            id INTEGER NOT NULL PRIMARY KEY,
            identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
            fingerprint TEXT NOT NULL,
            source TEXT NOT NULL,
            created TEXT NOT NULL,
            scores JSON NOT NULL
        )""",
        "CREATE INDEX ix_base_model_scores_identity_id ON base_model_scores (identity_id)",
    ):
        connection.exec_driver_sql(statement)


MIGRATIONS: tuple[Migration, ...] = (m001_initial, m002_consent, m003_base_models)


def migrate(engine: Engine, file: Path | None, migrations: Sequence[Migration] = MIGRATIONS) -> Path | None:
    """Bring the database up to date.

    Args:
        engine: Its connections must begin with BEGIN IMMEDIATE, or changes to the schema would not roll back.
        file: The database file, for the backup and for messages; None for a database in memory.
        migrations: All known migrations, oldest first.

    Returns:
        The backup that was made before an older database was changed, or None.

    Raises:
        RegistryError: The file is some other program's database.
        RegistryTooNewError: It holds a migration that this version does not know.
    """
    with engine.begin() as connection:
        applied = _applied(connection, file)
    if file is None or not applied or len(applied) == len(migrations):
        return _bring_up(engine, file, applied, migrations)
    with locked(file.with_name(f"{file.name}.lock"), BUSY_SECONDS) as is_ours:
        if not is_ours:
            raise RegistryError(f"the registry {file} is being updated by another process", "wait for it and try again")
        with engine.begin() as connection:  # another process may have been quicker
            applied = _applied(connection, file)
        return _bring_up(engine, file, applied, migrations)


def _bring_up(engine: Engine, file: Path | None, applied: set[str], migrations: Sequence[Migration]) -> Path | None:
    known = [migration.__name__ for migration in migrations]
    unknown = sorted(applied - set(known))
    if unknown:
        raise RegistryTooNewError(
            f"the registry {file} was written by a newer faceid (it has {unknown[0]})", "update faceid"
        )
    pending = [migration for migration in migrations if migration.__name__ not in applied]
    backup = _back_up(file, known[len(applied) - 1]) if applied and pending and file else None
    for migration in pending:
        _apply(engine, file, migration)
    return backup


def _apply(engine: Engine, file: Path | None, migration: Migration) -> None:
    with engine.begin() as connection:
        # Another process may have been quicker since we looked.
        if migration.__name__ in _applied(connection, file):
            return
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY, applied TEXT NOT NULL)"
        )
        migration(connection)
        connection.exec_driver_sql(
            "INSERT INTO migrations (name, applied) VALUES (?, ?)",
            (migration.__name__, datetime.now(UTC).isoformat(timespec="seconds")),
        )


def _applied(connection: Connection, file: Path | None) -> set[str]:
    tables = {name for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "migrations" in tables:
        return {str(name) for (name,) in connection.exec_driver_sql("SELECT name FROM migrations")}
    if tables:
        raise RegistryError(
            f"{file} is a database, but not a registry of faceid",
            "move it away, or set FACEID_HOME to another folder",
        )
    return set()


def _back_up(file: Path, version: str) -> Path:
    """Copy the database next to itself, rows that are still in the write-ahead log included; whole or not at all."""
    drop_half_backups(file)
    target = file.with_name(f"{file.name}.{version}.{datetime.now(UTC):%Y%m%dT%H%M%S%f}.bak")
    part = half_backup(target)
    try:
        part.touch(0o600)
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        part.replace(target)
    except BaseException:
        drop_half_backups(file)
        raise
    return target

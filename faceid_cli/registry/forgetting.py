"""Forgetting for good: what SQLite files still hold of somebody after their rows are deleted.

SQLite leaves the bytes of deleted rows in its free pages and in its write-ahead log, and copies that were made before
an update hold everybody of that time. Needs no SQLModel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from faceid_cli.kept.locks import locked
from faceid_cli.registry.damage import text_from

# How long a writer waits for another one before it gives up.
BUSY_SECONDS = 10.0


def backups_of(file: Path) -> list[Path]:
    """Copies of a registry from before updates, oldest first."""
    return sorted(file.parent.glob(f"{file.name}.*.bak"))


def connect(file: Path) -> sqlite3.Connection:
    """A connection that overwrites what it deletes, and takes runs, scores and links along with a person."""
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
    connection.text_factory = text_from
    for pragma in ("foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def delete_rows(connection: sqlite3.Connection, identity_ids: Collection[str]) -> None:
    """Delete people and the records of pictures that they are in; who is not there does not matter."""
    for each in identity_ids:
        connection.execute(
            "DELETE FROM renders WHERE id IN (SELECT render_id FROM render_people WHERE identity_id = ?)", (each,)
        )
        connection.execute("DELETE FROM identities WHERE id = ?", (each,))


def is_held(file: Path, identity_id: str) -> bool:
    """Whether a registry's file, or its write-ahead log, holds an id, be it in what SQLite takes for free space."""
    return any(identity_id.encode() in each.read_bytes() for each in (file, _log(file)) if each.exists())


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def half_backup(backup: Path) -> Path:
    """What a backup is called until it is whole."""
    return backup.with_name(f"{backup.name}.part")


def half_backups(file: Path) -> list[Path]:
    """What a process that was killed has left of making backups."""
    return sorted(file.parent.glob(f"{file.name}.*.bak.part*"))


def drop_half_backups(file: Path) -> None:
    """Delete that; nobody else may be making a backup."""
    for path in half_backups(file):
        path.unlink(missing_ok=True)


def scrub(file: Path, identity_id: str, name: str, others: Collection[str]) -> list[Path]:
    """Overwrite what the registry and its backups still hold of somebody whose rows are gone.

    Args:
        file: The registry's SQLite file; its backups lie beside it.
        identity_id: Whose rows are gone. In backups, whoever has this id, and whoever has the name and is not enrolled
            any more, goes too.
        name: The name of the person who is gone.
        others: Ids of all who are still enrolled.

    Returns:
        Backups that could not be cleaned, for instance damaged ones; they are left as they are.
    """
    if file.exists():
        _rewrite(file)
    with suppress(OSError), locked(file.with_name(f"{file.name}.lock")) as is_ours:
        if is_ours:
            drop_half_backups(file)
    failed = []
    for backup in backups_of(file):
        try:
            _clean_backup(backup, identity_id, name, others)
        except sqlite3.Error:
            failed.append(backup)
    return failed


def strangers_in(backup: Path, known_ids: Collection[str]) -> list[str]:
    """Names in a backup whose people are not enrolled any more; none where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.text_factory = text_from
            rows = connection.execute("SELECT id, name FROM identities ORDER BY name").fetchall()
    except sqlite3.Error:
        return []
    return [str(name) for identity_id, name in rows if identity_id not in known_ids]


def _rewrite(file: Path) -> None:
    """Write the database anew without its free pages, and empty its log.

    Where another program is at work in it, that has to wait: deleted rows are zeroed in any case.
    """
    with suppress(sqlite3.Error), closing(connect(file)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _clean_backup(backup: Path, identity_id: str, name: str, others: Collection[str]) -> None:
    with closing(connect(backup)) as connection:
        gone = [
            found
            for found, called in connection.execute("SELECT id, name FROM identities").fetchall()
            if found == identity_id or (found not in others and str(called).lower() == name.lower())
        ]
        was_stopped = is_held(backup, identity_id) or backup.with_name(f"{backup.name}-journal").exists()
        if not gone and not was_stopped:
            return
        connection.execute("PRAGMA journal_mode = DELETE")  # a backup has no log of its own
        with transaction(connection):
            delete_rows(connection, gone)
        connection.execute("VACUUM")

"""Forgetting for good: what SQLite files still hold of somebody after their rows are deleted.

SQLite leaves the bytes of deleted rows in its free pages and in its write-ahead log, and copies that were made before
an update hold everybody of that time. Standard library only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

_BUSY_SECONDS = 10.0


def backups_of(file: Path) -> list[Path]:
    """Copies of a registry from before updates, oldest first."""
    return sorted(file.parent.glob(f"{file.name}.*.bak"))


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
            rows = connection.execute("SELECT id, name FROM identities ORDER BY name").fetchall()
    except sqlite3.Error:
        return []
    return [str(name) for identity_id, name in rows if identity_id not in known_ids]


def _rewrite(file: Path) -> None:
    """Write the database anew without its free pages, and empty its log.

    Where another program is at work in it, that has to wait for the next removal: deleted rows are zeroed in any case.
    """
    try:
        with closing(sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        return


def _clean_backup(backup: Path, identity_id: str, name: str, others: Collection[str]) -> None:
    with closing(sqlite3.connect(backup, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        gone = [
            found
            for found, called in connection.execute("SELECT id, name FROM identities").fetchall()
            if found == identity_id or (found not in others and str(called).lower() == name.lower())
        ]
        if not gone:
            return
        # A backup has no log of its own; foreign keys take runs, scores and links along.
        for pragma in ("journal_mode = DELETE", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN IMMEDIATE")
        for each in gone:
            connection.execute(
                "DELETE FROM renders WHERE id IN (SELECT render_id FROM render_people WHERE identity_id = ?)", (each,)
            )
            connection.execute("DELETE FROM identities WHERE id = ?", (each,))
        connection.execute("COMMIT")
        connection.execute("VACUUM")

"""Removing somebody: row, embedding, crops, runs, checkpoint and records of pictures. Needs no SQLModel."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from faceid_cli.errors import FaceIDError
from faceid_cli.kept.signals import held_signals
from faceid_cli.registry.damage import id_from
from faceid_cli.registry.forgetting import connect, is_held, transaction
from faceid_cli.registry.journal import Entry, Journal
from faceid_cli.registry.plain_errors import plain_sqlite_errors, unknown_name
from faceid_cli.registry.recovery import finish_removal
from faceid_cli.types import Identity


@dataclass(frozen=True)
class Removed:
    """What a removal took away, the pictures that it left where they are, and what it could not delete or clean."""

    identity: Identity
    runs: int
    pictures: tuple[Path, ...]
    left: tuple[Path, ...] = ()


def remove_identity(file: Path, embeddings_dir: Path, identity: Identity) -> Removed:
    """Forget an identity, and overwrite what the registry's file and its backups still hold of it.

    Args:
        file: The registry's SQLite file, which is up to date and can be written.
        embeddings_dir: Folder of the embeddings.
        identity: As it was found there.

    Raises:
        UnknownNameError: It has gone meanwhile.
        RegistryError, OutputError: See `plain_sqlite_errors`.
    """
    journal, entry = Journal(file), Entry("remove", identity.id, identity.name)
    with ExitStack() as stack:
        with held_signals():  # written down and gone, or neither
            with plain_sqlite_errors(file):
                stack.enter_context(journal.entry(entry))
            try:
                with plain_sqlite_errors(file), closing(connect(file)) as connection, transaction(connection):
                    runs, pictures = _delete_row(connection, identity)
            except FaceIDError:
                journal.close(entry)
                raise
        with plain_sqlite_errors(file):
            left = finish_removal(file, embeddings_dir, entry)
            if left or not is_held(file, identity.id):
                journal.close(entry, is_finished=not left)
    return Removed(identity, runs, pictures, left)


def _delete_row(connection: sqlite3.Connection, identity: Identity) -> tuple[int, tuple[Path, ...]]:
    """Delete the row and the records of pictures; returns how many runs there were, and the pictures.

    Runs and links follow through their foreign keys. A damaged id is not what an identity goes by, so rows are told by
    their numbers.
    """
    found = connection.execute("SELECT rowid FROM identities WHERE id = ?", (identity.id,)).fetchall()
    if not found:
        rows = connection.execute("SELECT rowid, id FROM identities").fetchall()
        found = [(number,) for number, each in rows if id_from(each) == identity.id]
    if not found:
        raise unknown_name(identity.name, ())
    row = found[0][0]
    own = "SELECT id FROM identities WHERE rowid = ?"
    shown = f"SELECT render_id FROM render_people WHERE identity_id = ({own})"
    (runs,) = connection.execute(f"SELECT COUNT(*) FROM runs WHERE identity_id = ({own})", (row,)).fetchone()
    pictures = connection.execute(f"SELECT path FROM renders WHERE id IN ({shown}) ORDER BY id", (row,)).fetchall()
    connection.execute(f"DELETE FROM renders WHERE id IN ({shown})", (row,))
    connection.execute("DELETE FROM identities WHERE rowid = ?", (row,))
    return int(runs), tuple(Path(str(path)) for (path,) in pictures)

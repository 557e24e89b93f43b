"""Finishing what a process that has died had begun: the journal says what, and here it is done.

Every step may have been taken already, and may be taken again. Needs no SQLModel, as `forgetting.py`.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from faceid_cli.kept import paths
from faceid_cli.kept.files import scratches_of
from faceid_cli.kept.material import material_folder, remove_material
from faceid_cli.kept.runs import checkpoint_dir, discard_checkpoint, move_checkpoint
from faceid_cli.registry.forgetting import connect, delete_rows, is_held, scrub, transaction
from faceid_cli.registry.journal import Entry, Journal


@dataclass(frozen=True)
class Finished:
    """An entry of the journal, and what could not be deleted or cleaned; nothing where it is finished."""

    entry: Entry
    left: tuple[Path, ...]


def finish(file: Path, embeddings_dir: Path, name: str | None = None, with_left: bool = False) -> list[Finished]:
    """Finish what processes that have died had begun; what cannot be finished now is left for another time.

    Args:
        file: The registry's SQLite file, which is up to date.
        embeddings_dir: Folder of the embeddings.
        name: Only what is about this person, whatever the case; None for everything.
        with_left: Whether what could not be finished before is tried again.
    """
    journal, finished = Journal(file), []
    with suppress(OSError):  # of the journal itself
        for entry in journal.unfinished(with_left):
            if name is not None and entry.name.lower() != name.lower():
                continue
            with suppress(OSError, sqlite3.Error):  # a full disk, or a busy registry: the entry stays
                left = settle(file, embeddings_dir, entry)
                if left or entry.kind != "remove" or not is_held(file, entry.identity_id):
                    journal.close(entry, is_finished=not left)
                    finished.append(Finished(entry, left))
    return finished


def settle(file: Path, embeddings_dir: Path, entry: Entry) -> tuple[Path, ...]:
    """Take the steps of an entry that are left; returns what could not be deleted or cleaned.

    Raises:
        OSError, sqlite3.Error: It has to be tried again.
    """
    if entry.kind == "remove":
        return finish_removal(file, embeddings_dir, entry)
    with closing(connect(file)) as connection:
        names = dict(connection.execute("SELECT id, name FROM identities").fetchall())
    if entry.kind == "rename":
        if names.get(entry.identity_id) == entry.new_name:
            move_checkpoint(entry.name, entry.new_name)
        return ()
    # Of those who were to be kept and those who were to give way, whoever has no row.
    gone = [each for each in entry.people if each not in names]
    left = [path for each in gone for path in forget_files(each, embeddings_dir)]
    if entry.identity_id in names and entry.spent:
        shutil.rmtree(paths.runs_dir() / entry.spent, ignore_errors=True)
    return tuple(left)


def finish_removal(file: Path, embeddings_dir: Path, entry: Entry) -> tuple[Path, ...]:
    """Take everything away that there is of somebody, and overwrite what the registry and its copies still hold.

    Returns:
        What could not be deleted or cleaned.
    """
    with closing(connect(file)) as connection:
        with transaction(connection):
            delete_rows(connection, [entry.identity_id])
        others = {identity_id for (identity_id,) in connection.execute("SELECT id FROM identities")}
    left = forget_files(entry.identity_id, embeddings_dir)
    left += scrub(file, entry.identity_id, entry.name, others)
    left += [] if discard_checkpoint(entry.name) else [checkpoint_dir(entry.name)]
    return tuple(left)


def forget_files(identity_id: str, embeddings_dir: Path) -> list[Path]:
    """Delete an embedding, what was being written of it, and the crops; returns what is still there."""
    embedding = embeddings_dir / f"{identity_id}.safetensors"
    files = [embedding, *scratches_of(embedding)]
    for path in files:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    remove_material(identity_id)
    return _still_there([*files, material_folder(identity_id)])


def _still_there(files: Iterable[Path]) -> list[Path]:
    return [path for path in files if path.exists()]

"""A quick look at who is there, without SQLModel, which takes longer to import than all of this.

`faceid list`, `faceid remove` and completion need no more. Where anything is out of the ordinary, here is no answer:
the registry itself is asked then, brings what is old up to date, finishes what was begun, and says what is wrong.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from faceid_cli.errors import FaceIDError
from faceid_cli.kept import paths
from faceid_cli.kept.files import is_writable
from faceid_cli.registry.damage import id_from
from faceid_cli.registry.journal import Journal
from faceid_cli.registry.migrations import MIGRATIONS
from faceid_cli.registry.names import is_name
from faceid_cli.types import Identity

Answer = TypeVar("Answer")
_COLUMNS = "name, id, class_word, base_model, base_fingerprint, method, photo_hashes, created, tags, note, consent"


def known_names(path: Path | None = None) -> list[str]:
    """Names in the registry, sorted, for shell completion: read-only, and empty when anything is wrong."""

    def names(connection: sqlite3.Connection) -> list[str]:
        found = connection.execute("SELECT name FROM identities ORDER BY name")
        return [name for (name,) in found if isinstance(name, str) and is_name(name)]

    try:
        return _asked(paths.registry_file() if path is None else path, names) or []
    except FaceIDError:  # there can be no such home
        return []


def quick_identities() -> list[Identity] | None:
    """All identities by name; None where the registry itself has to be asked."""
    return _asked_if_ordinary(_identities)


def quick_identity(name: str) -> Identity | None:
    """Who has a name, whatever the case; None where nobody has, or the registry itself has to be asked."""
    found = _asked_if_ordinary(lambda connection: _identities(connection, "WHERE name = ?", name))
    return found[0] if found else None


def is_ordinary() -> bool:
    """Whether there is a registry that is up to date and can be written, and nothing in it is unfinished."""
    file = paths.registry_file()
    return file.exists() and is_writable(file) and _asked_if_ordinary(lambda connection: True) is True


def quick_names_of_sources() -> dict[str, str] | None:
    """Names of base models by what they stand for; of several names for one thing the first. None as above."""
    return _asked_if_ordinary(_names_of_sources)


def _identities(connection: sqlite3.Connection, where: str = "", *values: str) -> list[Identity]:
    folder = str(paths.identities_dir())
    found = []
    for row in connection.execute(f"SELECT {_COLUMNS} FROM identities {where} ORDER BY name", values):
        name, id_, class_word, base_model, fingerprint, method, hashes, created, tags, note, consent = row
        parts = (_loaded(method), json.loads(hashes), _loaded(tags))
        is_whole = set(map(type, row)) == {str} and tuple(map(type, parts)) == (dict, list, list)
        if not is_whole or id_from(id_) != id_ or not set(map(type, (*parts[1], *parts[2]))) <= {str}:
            raise ValueError("a damaged row: the registry says more of it")
        path = Path(f"{folder}{os.sep}{id_}.safetensors")  # quicker than the other way
        learned = (class_word, base_model, fingerprint, dict(parts[0]), tuple(parts[1]))
        found.append(Identity(name, id_, *learned, path, created, tuple(parts[2]), note, consent))
    return found


# Many people were learned in the same way; whoever gets a dictionary gets one of their own.
@lru_cache(maxsize=256)
def _loaded(text: str) -> Any:
    return json.loads(text)


def _names_of_sources(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT source, name FROM base_models ORDER BY name DESC").fetchall()
    return dict(rows)


def _asked_if_ordinary(question: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
    file = paths.registry_file()
    if Journal(file).entries():
        return None
    return _asked(file, lambda connection: question(connection) if _is_up_to_date(connection) else None)


def _is_up_to_date(connection: sqlite3.Connection) -> bool:
    applied = {name for (name,) in connection.execute("SELECT name FROM migrations")}
    return applied == {migration.__name__ for migration in MIGRATIONS}


def _asked(file: Path, question: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
    # Only who may write takes SQLite's log away again when it closes; the last is for where SQLite may write nothing,
    # not even to read, and nobody can write.
    for how in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
        with (
            suppress(sqlite3.Error, ValueError, TypeError, RecursionError),
            closing(sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=0.2)) as connection,
        ):
            return question(connection)
    return None

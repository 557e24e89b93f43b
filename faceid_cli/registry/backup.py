"""The registry's part of backups: a clean copy of it, and people from a copy into the registry, all or nobody."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from faceid_cli.errors import FaceIDError
from faceid_cli.kept.archive import REGISTRY, damaged
from faceid_cli.kept.files import make_folder
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.kept.material import material_folder
from faceid_cli.kept.signals import held_signals
from faceid_cli.orders.checks import is_text
from faceid_cli.registry.engine import make_engine, plain_errors
from faceid_cli.registry.forgetting import connect, delete_rows, transaction
from faceid_cli.registry.journal import Entry
from faceid_cli.registry.migrations import migrate
from faceid_cli.registry.records import NewIdentity
from faceid_cli.registry.recovery import settle
from faceid_cli.registry.rows import name_taken
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

# Tables with a number of their own, in the order in which they refer to each other; then those without.
_NUMBERED = ("runs", "renders", "base_model_scores")
_OF_PEOPLE = ("runs", "render_people", "base_model_scores")


def copy_registry(registry: Registry, target: Path, without: Collection[str] = ()) -> list[Identity]:
    """Write a copy without free pages, so that nobody is in it who has been removed.

    Args:
        registry: As it is at this moment, whoever is at work in it.
        target: The copy.
        without: Ids of people who are not to be in it.

    Returns:
        The people in the copy.

    Raises:
        RegistryError, OutputError: It cannot be written.
    """
    with plain_errors(target):
        with closing(connect(_file_of(registry))) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
        if without:
            with closing(connect(target)) as copy:
                with transaction(copy):
                    delete_rows(copy, without)
                copy.execute("VACUUM")
    with held_signals(), Registry(make_engine(target), target, registry.embeddings_dir) as opened:
        people = opened.list()
    for more in ("-wal", "-shm"):
        target.with_name(target.name + more).unlink(missing_ok=True)
    return people


def check_copy(archive: Path, folder: Path) -> list[Identity]:
    """Bring a copy of a registry from an archive up to date, and check it and everybody in it.

    Args:
        archive: Named in errors.
        folder: Where it is unpacked: the registry, and a folder with embeddings.

    Raises:
        BackupFileError: What is in it cannot be a registry of faceid.
        RegistryTooNewError: A newer faceid wrote it.
    """
    file = folder / REGISTRY
    try:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            kinds = {kind for (kind,) in connection.execute("SELECT DISTINCT type FROM sqlite_master")}
            (state,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if not kinds <= {"table", "index"} or state != "ok":
            raise damaged(archive, "its registry is damaged, or of another program")
        with held_signals(), Registry(make_engine(file), file, folder / "identities") as copy:
            migrate(copy._engine, file)
            if _schema(file) != _own_schema(folder / "own.db"):
                raise damaged(archive, "its registry has tables that faceid has not")
            people = copy.list()
            problems = copy.problems()
    except (sqlite3.Error, ValueError, TypeError) as error:
        if any(words in str(error).lower() for words in ("disk i/o", "disk is full", "unable to open")):
            raise  # no fault of the archive
        raise damaged(archive, str(error)) from error
    if problems:
        raise damaged(archive, problems[0])
    for person in people:
        _check_person(archive, person)
    return people


def take_in(registry: Registry, folder: Path, people: Collection[Identity], replace: bool) -> None:
    """Take the people of a checked copy into the registry, with all that belongs to them: everybody or nobody.

    Args:
        registry: Where they go. Whoever is there stays, unless they give way to somebody of their name.
        folder: Where the copy is unpacked; what is in it is used up.
        people: Who is in it.
        replace: Whether people of the registry give way.

    Raises:
        NameTakenError: Somebody in the registry has the name of one of them.
        RegistryError, OutputError: Nobody is taken in, and nobody has given way.
    """
    there = {person.name.lower(): person for person in registry.list()}
    gone = [there[person.name.lower()] for person in people if person.name.lower() in there]
    if gone and not replace:
        raise name_taken(gone[0].name, "give --replace to have everybody as the backup has them")
    if not people:
        return
    known = registry.known_ids()
    ids = {person.id: _free_id(registry, known, person.id) for person in people}
    _give_ids(folder / REGISTRY, ids)
    first, *rest = ids.values()
    entry = Entry("keep", first, "", others=(*rest, *(person.id for person in gone)))
    with registry._begun(entry):
        try:
            with plain_errors(registry.file):
                for old, new in ids.items():
                    _move(folder, old, new, registry.embeddings_dir)
            with held_signals(), plain_errors(registry.file):
                _insert(_file_of(registry), folder / REGISTRY, [person.id for person in gone])
        finally:
            # Whoever has no row by now goes, be it the ones or the others.
            with held_signals(), plain_errors(registry.file):
                left = settle(_file_of(registry), registry.embeddings_dir, entry)
                registry._journal.close(entry, is_finished=not left)


def _file_of(registry: Registry) -> Path:
    assert registry.file is not None
    return registry.file


def _schema(file: Path) -> set[tuple[str, ...]]:
    """Tables with their columns; the words they were made with are others in each version."""
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        query = "SELECT name FROM pragma_table_xinfo(?) ORDER BY name"
        return {(table, *(name for (name,) in connection.execute(query, (table,)))) for (table,) in tables}


def _own_schema(file: Path) -> set[tuple[str, ...]]:
    engine = make_engine(file)
    migrate(engine, file)
    engine.dispose()
    return _schema(file)


def _check_person(archive: Path, person: Identity) -> None:
    texts = (person.class_word, person.base_model, person.base_fingerprint, person.note, person.consent, person.created)
    lists = (*person.photo_hashes, *person.tags)
    if not all(map(is_text, (*texts, *lists))):
        raise damaged(archive, f"what it knows of {person.name!r} is no text")
    try:
        load_identity(person.path)
        NewIdentity(
            person.name,
            person.class_word,
            person.base_model,
            person.base_fingerprint,
            person.method,
            person.photo_hashes,
            person.tags,
        )
    except FaceIDError as error:
        raise damaged(archive, error.message) from error


def _free_id(registry: Registry, known: Collection[str], wanted: str) -> str:
    """The id that somebody had, if nothing here has it; ids name files, which are never written over."""
    is_taken = (registry.embeddings_dir / f"{wanted}.safetensors").exists() or material_folder(wanted).exists()
    return uuid4().hex if is_taken or wanted in known else wanted


def _give_ids(file: Path, ids: dict[str, str]) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection, transaction(connection):
        for old, new in ids.items():
            connection.execute("UPDATE identities SET id = ? WHERE id = ?", (new, old))
            for table in _OF_PEOPLE:
                connection.execute(f"UPDATE {table} SET identity_id = ? WHERE identity_id = ?", (new, old))


def _move(folder: Path, old: str, new: str, embeddings_dir: Path) -> None:
    make_folder(embeddings_dir)
    (folder / "identities" / f"{old}.safetensors").replace(embeddings_dir / f"{new}.safetensors")
    material = folder / "material" / old
    if material.exists():
        make_folder(material_folder(new).parent)
        shutil.move(material, material_folder(new))


def _insert(file: Path, copy: Path, gone: Collection[str]) -> None:
    """The rows of the copy into the registry, in one transaction."""
    with closing(connect(file)) as connection:
        connection.execute("ATTACH ? AS copy", (f"{copy}",))
        with transaction(connection):
            delete_rows(connection, gone)
            after = {
                table: connection.execute(f"SELECT COALESCE(MAX(id), 0) FROM main.{table}").fetchone()[0]
                for table in _NUMBERED
            }
            for table in ("identities", *_NUMBERED, "render_people"):
                columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
                shifted = {"id": after.get(table), "render_id": after["renders"]}
                values = ", ".join(f"{name} + {shifted[name]}" if shifted.get(name) else name for name in columns)
                connection.execute(f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT {values} FROM copy.{table}")
            connection.execute("INSERT OR IGNORE INTO main.base_models SELECT * FROM copy.base_models")
        connection.execute("DETACH copy")

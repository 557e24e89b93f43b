import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection
from sqlmodel import SQLModel

from faceid_cli.errors import FaceIDError, OutputError, RegistryError, RegistryTooNewError
from faceid_cli.registry.engine import make_engine, plain_errors
from faceid_cli.registry.migrations import MIGRATIONS, migrate
from faceid_cli.registry.store import Registry

V1 = Path(__file__).parent / "data" / "v1.sql"


def m900_add_birthday(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE identities ADD COLUMN birthday TEXT")


def m900_fails_halfway(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
    connection.exec_driver_sql("DELETE FROM identities")
    raise RuntimeError("failed halfway")


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    file = tmp_path / "registry.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(V1.read_text())
    return file


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def test_version_1_with_rows_is_still_read(old_file: Path) -> None:
    with Registry.open(old_file) as registry:
        ada = registry.get("ada")
        runs = registry.runs_of("ada")
        renders = registry.renders_of("ada")
    assert (ada.name, ada.class_word, ada.tags, ada.note) == ("Ada", "woman", ("family",), "first of all")
    assert runs[0].run.losses == ((0.5, 0.25), (0.4, 0.2))
    assert (renders[0].render.prompt, renders[0].render.seed) == ("at the sea", 7)


def test_a_new_registry_has_the_schema_of_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    Registry.open(file).close()
    with closing(sqlite3.connect(file)) as connection:
        for table in SQLModel.metadata.tables.values():
            found = {row[1]: bool(row[3]) for row in connection.execute(f"PRAGMA table_info({table.name})")}
            assert found == {column.name: not column.nullable for column in table.columns}, table.name
            keys = {(row[3], row[2], row[6]) for row in connection.execute(f"PRAGMA foreign_key_list({table.name})")}
            assert keys == {(key.parent.name, key.column.table.name, key.ondelete) for key in table.foreign_keys}
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT name FROM migrations").fetchall() == [
            (migration.__name__,) for migration in MIGRATIONS
        ]


def test_an_older_registry_is_backed_up_and_then_changed(old_file: Path) -> None:
    before = dump(old_file)
    engine = make_engine(old_file)
    backup = migrate(engine, old_file, [*MIGRATIONS, m900_add_birthday])
    assert backup is not None
    assert backup.name.startswith("registry.db.m001_initial.")
    assert dump(backup) == before
    with closing(sqlite3.connect(old_file)) as connection:
        assert connection.execute("SELECT name, birthday FROM identities").fetchall() == [("Ada", None)]
        assert ("m900_add_birthday",) in connection.execute("SELECT name FROM migrations").fetchall()
    assert migrate(engine, old_file, [*MIGRATIONS, m900_add_birthday]) is None, "applied twice"


def test_a_failing_migration_changes_nothing(old_file: Path) -> None:
    migrate(make_engine(old_file), old_file)
    before = dump(old_file)
    with pytest.raises(RuntimeError, match="failed halfway"):
        migrate(make_engine(old_file), old_file, [*MIGRATIONS, m900_fails_halfway])
    assert dump(old_file) == before


def test_a_migration_that_fails_later_keeps_the_ones_before_it(old_file: Path) -> None:
    def m901_fails(connection: Connection) -> None:
        m900_fails_halfway(connection)

    with pytest.raises(RuntimeError, match="failed halfway"):
        migrate(make_engine(old_file), old_file, [*MIGRATIONS, m900_add_birthday, m901_fails])
    with closing(sqlite3.connect(old_file)) as connection:
        assert connection.execute("SELECT name FROM migrations").fetchall() == [
            *((migration.__name__,) for migration in MIGRATIONS),
            ("m900_add_birthday",),
        ]
        assert connection.execute("SELECT count(*) FROM identities").fetchone() == (1,)


def test_a_registry_of_a_newer_version_is_refused_and_left_alone(old_file: Path) -> None:
    migrate(make_engine(old_file), old_file, [*MIGRATIONS, m900_add_birthday])
    before = dump(old_file)
    with pytest.raises(RegistryTooNewError) as caught:
        Registry.open(old_file)
    assert caught.value.message == (f"the registry {old_file} was written by a newer faceid (it has m900_add_birthday)")
    assert caught.value.exit_code == 6
    assert dump(old_file) == before


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(RegistryError) as caught:
        Registry.open(file)
    assert caught.value.message == f"{file} is a database, but not a registry of faceid"
    assert not any("identities" in line for line in dump(file))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    file.write_bytes(b"this is no database " * 400)
    with pytest.raises(RegistryError) as caught:
        Registry.open(file)
    assert caught.value.message == f"the registry {file} is damaged"
    assert file.read_bytes() == b"this is no database " * 400


def test_a_database_cut_short_is_named(old_file: Path) -> None:
    old_file.write_bytes(old_file.read_bytes()[:5000])
    with pytest.raises(RegistryError) as caught, Registry.open(old_file) as registry:
        registry.list()
    assert str(old_file) in caught.value.message


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, plain_errors(tmp_path / "registry.db"):
        raise sqlite3.OperationalError("database or disk is full")
    assert caught.value.message == f"no space left for the registry {tmp_path / 'registry.db'}"
    assert caught.value.exit_code == 9


def test_an_unspecific_error_on_a_full_disk_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_with(free: int) -> str:
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
        with pytest.raises(FaceIDError) as caught, plain_errors(tmp_path / "registry.db"):
            raise sqlite3.OperationalError("disk I/O error")
        return caught.value.message

    assert "no space left" in fail_with(0)
    assert "disk I/O error" in fail_with(10**9)


def test_many_at_once_may_create_the_registry(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    errors: list[BaseException] = []

    def create() -> None:
        try:
            Registry.open(file).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM migrations").fetchone() == (len(MIGRATIONS),)


def test_people_of_an_older_registry_have_said_nothing_yet(old_file: Path) -> None:
    with Registry.open(old_file) as registry:
        assert registry.get("Ada").consent == ""

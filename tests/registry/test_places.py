"""Where the registry may lie: on network drives without shared memory, and where nothing can be written."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import faceid_cli
from faceid_cli.errors import RegistryError
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import save_identity
from faceid_cli.registry import engine, reading
from faceid_cli.registry.quick import known_names
from faceid_cli.registry.records import NewIdentity
from faceid_cli.registry.store import Registry

_NEW = NewIdentity("alice", "woman", "builtin", "sd1:0123456789abcdef", {"method": "sefi"})


def _add(name: str = "alice") -> None:
    import dataclasses

    import numpy as np

    new = dataclasses.replace(_NEW, name=name)
    features = {"text_encoder": np.zeros((1, 1, 4), np.float32)}
    with Registry.open() as registry:
        registry.add_identity(new, lambda identity: save_identity(identity.path, features, features, new.metadata()))


def _names() -> list[str]:
    with Registry.open(create=False) as registry:
        return [person.name for person in registry.list()]


@pytest.fixture
def no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite locks with files beside the database, as for a network drive; write-ahead logging cannot be had then."""
    connect = sqlite3.connect

    def elsewhere(database: object, *rest: object, **more: object) -> sqlite3.Connection:
        name = os.fsdecode(database)  # type: ignore[arg-type]
        if name == ":memory:":
            return connect(name, *rest, **more)  # type: ignore[arg-type]
        address = name if name.startswith("file:") else Path(name).absolute().as_uri()
        more["uri"] = True
        return connect(f"{address}{'&' if '?' in address else '?'}vfs=unix-dotfile", *rest, **more)  # type: ignore[arg-type]

    if os.name != "posix":
        pytest.skip("SQLite has this way of locking on Unix alone")
    monkeypatch.setattr(sqlite3, "connect", elsewhere)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", elsewhere)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 1.0)


def _journal() -> str:
    with closing(sqlite3.connect(paths.registry_file())) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_a_registry_is_made_and_changed_without_shared_memory(no_shared_memory) -> None:
    _add()
    _add("bob")
    with Registry.open() as registry:
        registry.rename("alice", "carol")
        registry.remove("bob")
        assert registry.problems() == []
    assert _names() == known_names() == ["carol"]
    assert _journal() == "delete"


def test_a_registry_that_comes_from_a_local_disk_is_read_there(request) -> None:
    _add()
    assert _journal() == "wal"
    request.getfixturevalue("no_shared_memory")
    _add("bob")
    assert _names() == ["alice", "bob"]
    assert _journal() == "delete"


def test_a_local_disk_still_gets_write_ahead_logging() -> None:
    _add()
    assert _journal() == "wal"


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The registry must not be written; afterwards it is looked whether it was."""
    _add()
    before = paths.registry_file().read_bytes()
    monkeypatch.setattr(reading, "is_writable", lambda file: False)
    yield
    assert paths.registry_file().read_bytes() == before


def test_what_cannot_be_written_can_be_read(read_only) -> None:
    with Registry.open() as registry:
        assert registry.is_read_only
        assert registry.get("ALICE").class_word == "woman"
        assert registry.problems() == []
        assert registry.runs_of("alice") == []


@pytest.mark.parametrize("change", ["rename", "remove", "check_writable"])
def test_changes_that_would_be_lost_are_errors(read_only, change) -> None:
    words = {"rename": ("alice", "bob"), "remove": ("alice",), "check_writable": ()}[change]
    with Registry.open() as registry, pytest.raises(RegistryError, match=r"registry\.db cannot be written"):
        getattr(registry, change)(*words)
    assert _names() == ["alice"]


def test_what_lies_in_the_log_is_read_too(monkeypatch, tmp_path) -> None:
    """Another program has it open, so that the last changes are not in the file yet; here it cannot be opened."""
    _add()
    with closing(sqlite3.connect(paths.registry_file(), isolation_level=None)) as connection:
        connection.execute("UPDATE identities SET note = 'new'")
        home = tmp_path / "copy"
        home.mkdir()
        for file in paths.home().glob("registry.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, home)
    monkeypatch.setattr(reading, "is_writable", lambda file: False)
    connect = sqlite3.connect

    def refuse(database: object, *rest: object, **more: object) -> sqlite3.Connection:
        if str(database).startswith("file:"):
            raise sqlite3.OperationalError("unable to open database file")
        return connect(database, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with Registry.open(home / "registry.db") as registry:
        assert registry.get("alice").note == "new"


def test_a_damaged_one_is_still_called_damaged(monkeypatch) -> None:
    paths.home().mkdir(parents=True)
    paths.registry_file().write_bytes(b"no database at all, but long enough to be looked at" * 100)
    monkeypatch.setattr(reading, "is_writable", lambda file: False)
    with pytest.raises(RegistryError, match="is damaged"):
        Registry.open()


def _as_anybody() -> None:
    """Take from root what lets it write everywhere (PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)."""
    import ctypes

    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


def test_a_home_of_somebody_else_can_be_looked_at() -> None:
    """Nothing there can be written, in earnest: list, show, export and completion."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        home, work = Path(folder, "home"), Path(folder, "work")
        patch.setenv("FACEID_HOME", str(home))
        _add()
        work.mkdir()
        os.chmod(folder, 0o755)
        work.chmod(0o777)
        for path in (*home.rglob("*"), home):
            path.chmod(0o555 if path.is_dir() else 0o444)
        code = (
            "import os; from faceid_cli.cli.app import main; from faceid_cli.registry.quick import known_names;"
            "assert not os.access(os.environ['FACEID_HOME'], os.W_OK);"
            "print(main(['list', '-q']), main(['show', 'alice', '-q']), main(['export', 'alice', '-q']), known_names(),"
            "main(['remove', 'alice', '-y']), main(['rename', 'alice', 'bob']))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            preexec_fn=_as_anybody if sys.platform == "linux" and os.geteuid() == 0 else None,
            cwd=work,
            env={**os.environ, "PYTHONPATH": str(Path(faceid_cli.__file__).parents[1]), "HOME": str(work)},
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (home, *home.rglob("*")):
            path.chmod(0o755)
        if "AssertionError" in done.stderr:
            pytest.skip("nothing is read-only for this user")
        assert done.stdout.splitlines()[-1] == "0 0 0 ['alice'] 6 6", done.stderr
        assert done.stderr.count("registry.db cannot be written") == 2
        assert _names() == ["alice"]

"""registry/forgetting.py: after a removal, no file holds a byte of who was removed."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from faceid_cli.registry.forgetting import backups_of, scrub, strangers_in
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

V1 = Path(__file__).parent / "data" / "v1.sql"
MARKS = (b"Zweig-Emilia", b"consent-4711", b"note-0815", b"c0ffee" * 10, b"secret prompt", b"loss-settings")


def _add(registry: Registry, name: str, replace: bool = False) -> Identity:
    new = NewIdentity(
        name=name,
        class_word="woman",
        base_model="builtin",
        base_fingerprint="sd1:0123456789abcdef",
        method={"method": "sefi"},
        photo_hashes=("c0ffee" * 10 + "abcd", "b" * 64) if "Emilia" in name else ("a" * 64,),
        note="note-0815" if "Emilia" in name else "",
        consent="consent-4711 " * 400 if "Emilia" in name else "",  # long enough for pages of its own
    )
    settings = {"request": f"{name} loss-settings" if "Emilia" in name else ""}
    keep = registry.replace_identity if replace else registry.add_identity
    return keep(new, lambda kept: None, NewRun(settings, tuple((0.5, step / 7) for step in range(500)), 3.0))


@pytest.fixture
def registry_file(tmp_path: Path) -> Path:
    """A busy registry: many people around the one who will go, renamed in between, with pictures."""
    file = tmp_path / "registry.db"
    with Registry.open(file, tmp_path / "identities") as registry:
        for number in range(10):
            _add(registry, f"person{number}")
        emilia = _add(registry, "Zweig-Emilia-before")
        registry.rename(emilia.name, "Zweig-Emilia")
        for number in range(10, 20):
            _add(registry, f"person{number}")
            render = NewRender((emilia.id,), Path(f"/tmp/Zweig-Emilia{number}.png"), "secret prompt", number, {})
            registry.add_renders([render])
    return file


def _remove(file: Path, name: str) -> list[Path]:
    with Registry.open(file, file.parent / "identities") as registry:
        gone = registry.remove(name).identity
        others = {person.id for person in registry.list()}
    return scrub(file, gone.id, gone.name, others)


def _bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_no_byte_of_the_removed_is_left(registry_file: Path) -> None:
    before = _bytes_below(registry_file.parent)
    assert [mark for mark in MARKS if mark in before] == list(MARKS)  # the test can find what it looks for
    assert _remove(registry_file, "zweig-emilia") == []
    after = _bytes_below(registry_file.parent)
    assert [mark for mark in MARKS if mark in after] == []
    with Registry.open(registry_file) as registry:
        assert len(registry.list()) == 20
        assert registry.problems()[0].startswith("person0 has no file")  # no damage; these people never had files


def test_neither_while_another_program_reads(registry_file: Path) -> None:
    """Then the write-ahead log cannot be emptied at once; it goes with the last reader."""
    with closing(sqlite3.connect(registry_file)) as reader:
        assert reader.execute("SELECT count(*) FROM identities").fetchone() == (21,)
        assert _remove(registry_file, "Zweig-Emilia") == []
    after = _bytes_below(registry_file.parent)
    assert [mark for mark in MARKS if mark in after] == []


def test_backups_forget_too_and_keep_the_others(registry_file: Path) -> None:
    backup = registry_file.with_name("registry.db.m002_consent.20260101T000000000000.bak")
    shutil.copy(registry_file, backup)
    assert _remove(registry_file, "Zweig-Emilia") == []
    assert [mark for mark in MARKS if mark in _bytes_below(registry_file.parent)] == []
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT count(*) FROM identities").fetchone() == (20,)
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (20,)
        assert connection.execute("SELECT count(*) FROM renders").fetchone() == (0,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(path.name for path in registry_file.parent.glob("registry*")) == ["registry.db", backup.name]


def test_a_backup_made_by_the_first_version_forgets_too(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(V1.read_text())
    with Registry.open(file) as registry:
        (ada,) = registry.list()
    (backup,) = backups_of(file)  # the update made it
    assert strangers_in(backup, {ada.id}) == []
    assert strangers_in(backup, set()) == ["Ada"]
    assert _remove(file, "ada") == []
    assert strangers_in(backup, set()) == []
    assert b"Ada" not in _bytes_below(tmp_path)


def test_who_had_the_name_before_goes_unless_still_enrolled(registry_file: Path) -> None:
    """In a backup a replaced person has another id; and a name may be somebody else's by now."""
    backup = registry_file.with_name("registry.db.m002_consent.1.bak")
    shutil.copy(registry_file, backup)
    with Registry.open(registry_file, registry_file.parent / "identities") as registry:
        _add(registry, "person3", replace=True)
        registry.rename("person4", "renamed")
        _add(registry, "person4")
    assert set(strangers_in(backup, set())) == {*(f"person{number}" for number in range(20)), "Zweig-Emilia"}
    assert _remove(registry_file, "person3") == []
    assert _remove(registry_file, "person4") == []
    names = strangers_in(backup, set())
    assert "person3" not in names  # nobody has that id any more
    assert "person4" in names  # who is now called "renamed" stays


def test_a_damaged_backup_is_reported_and_left_alone(registry_file: Path) -> None:
    backup = registry_file.with_name("registry.db.m002_consent.1.bak")
    backup.write_bytes(b"rubbish " * 1000)
    assert _remove(registry_file, "person1") == [backup]
    assert backup.read_bytes() == b"rubbish " * 1000
    assert strangers_in(backup, set()) == []

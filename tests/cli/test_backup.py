"""`faceid backup` and `faceid restore`: everybody in one file, and back, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import stat
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from faceid_cli.kept import paths
from faceid_cli.kept.material import keep_json, material_folder
from faceid_cli.registry.records import NewRender
from faceid_cli.registry.store import Registry

Contents = dict[str, bytes]


@pytest.fixture
def backup(faceid, add_person) -> Path:
    """Of two people, one of whom has crops, a picture, and a name for a base model."""
    alice, _ = add_person("alice", note="first", tags=("family",), consent="yes"), add_person("bob")
    keep_json(alice.id, "scores.json", {"identity": 0.5})
    with Registry.open() as registry:
        registry.add_renders([NewRender((alice.id,), Path("/tmp/castle.png"), "castle", 5, {"steps": 3})])
    assert faceid("config", "set", "device", "cpu").code == 0
    answer = faceid("backup", "all.zip")
    assert (answer.code, answer.out, answer.err) == (0, "all.zip: 2 people\n", "")
    return Path("all.zip")


def _everything(faceid: Callable) -> dict[str, object]:
    shown = {name: faceid("show", name, "--json").data for name in faceid("list", "-q").out.split()}
    for data in shown.values():
        data["identity"]["embedding"] = Path(data["identity"].pop("file")).read_bytes()
    return shown


def _elsewhere(monkeypatch: pytest.MonkeyPatch, name: str = "elsewhere") -> None:
    monkeypatch.setenv("FACEID_HOME", str(Path(name).absolute()))


def test_everything_comes_back_on_another_machine(backup, faceid, monkeypatch) -> None:
    before = _everything(faceid)
    _elsewhere(monkeypatch)
    answer = faceid("restore", backup)
    assert (answer.code, answer.out) == (0, "restored 2 people: alice, bob\n")
    assert _everything(faceid) == before
    alice = faceid("show", "alice", "--json").data["identity"]
    assert json.loads((material_folder(alice["id"]) / "scores.json").read_text()) == {"identity": 0.5}
    assert faceid("config", "get", "device").out == "cpu\n"
    assert not list((paths.home() / "unfinished").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_only_its_owner_may_read_it(backup) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_nothing_of_a_removed_person_is_in_it(backup, faceid, add_person) -> None:
    with Registry.open() as registry:
        gone = registry.get("alice")
    for number in range(20):
        add_person(f"filler{number}")
    assert faceid("remove", "alice", "-y").code == 0
    assert faceid("backup", "later.zip").code == 0
    with zipfile.ZipFile("later.zip") as archive:
        held = b"".join(archive.read(name) for name in archive.namelist()) + "".join(archive.namelist()).encode()
    assert b"bob" in held
    assert b"alice" not in held
    assert gone.id.encode() not in held


def test_a_backup_is_not_written_over_unasked(backup, faceid) -> None:
    before = backup.read_bytes()
    answer = faceid("backup", backup)
    assert (answer.code, backup.read_bytes()) == (9, before)
    assert "all.zip exists already" in answer.err
    assert faceid("backup", backup, "--replace").code == 0


def test_who_has_a_name_gives_way_only_if_asked_and_the_others_stay(backup, faceid, add_person) -> None:
    before = _everything(faceid)
    faceid("note", "alice", "changed")
    faceid("remove", "bob", "-y")
    carol = add_person("carol")
    answer = faceid("restore", backup)
    assert (answer.code, answer.err.splitlines()[0]) == (7, "error: alice is enrolled already")
    assert faceid("list", "-q").out.split() == ["alice", "carol"]
    assert faceid("show", "alice", "--json").data["identity"]["note"] == "changed"

    assert faceid("restore", backup, "--replace").code == 0
    after = _everything(faceid)
    assert after.pop("carol")["identity"]["id"] == carol.id
    # Who was there as well has a new id, and so have their runs.
    found, expected = (
        re.sub('[0-9a-f]{32}|(?<="id": )[0-9]+', "ID", json.dumps(each, default=str)) for each in (after, before)
    )
    assert found == expected
    with Registry.open() as registry:
        assert registry.problems() == []


def test_who_has_no_embedding_is_told_of_and_the_others_are_saved(backup, faceid, monkeypatch) -> None:
    Path(faceid("show", "bob", "--json").data["identity"]["file"]).write_bytes(b"cut off")
    answer = faceid("backup", "rest.zip", "--json")
    assert (answer.data["names"], answer.data["missing"]) == (["alice"], ["bob"])
    assert "bob is not in it" in answer.err
    _elsewhere(monkeypatch)
    assert faceid("restore", "rest.zip", "-q").out == "alice\n"


def _read(path: Path) -> Contents:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _written(contents: Contents, listed: Contents | None = None) -> Path:
    """An archive with these files, and a list that is right for others, if that is asked for."""
    entries = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in (listed or contents).items()
        if name != "manifest.json"
    }
    manifest = json.loads(contents["manifest.json"]) | {"files": entries}
    with zipfile.ZipFile("forged.zip", "w") as archive:
        for name, content in (contents | {"manifest.json": json.dumps(manifest).encode()}).items():
            archive.writestr(name, content)
    return Path("forged.zip")


def _in_registry(contents: Contents, *statements: str) -> Contents:
    Path("forged.db").write_bytes(contents["registry.db"])
    with closing(sqlite3.connect("forged.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return contents | {"registry.db": Path("forged.db").read_bytes()}


def _embedding(contents: Contents) -> str:
    return next(name for name in contents if name.startswith("identities/"))


FORGED: dict[str, Callable[[Contents], Path]] = {
    "a path out of the home": lambda found: _written(found | {"../evil.txt": b"x"}),
    "an absolute path": lambda found: _written(found | {"/tmp/evil.txt": b"x"}),
    "a path through a folder": lambda found: _written(found | {"material/ab/../../evil.py": b"x"}),
    "a program": lambda found: _written(found | {"evil.py": b"print()"}),
    "an entry of the journal": lambda found: _written(found | {"unfinished/ab.json": b"{}"}),
    "a file that the list has not": lambda found: _written(found | {"config.json": b"{}"}, listed=found),
    "a file of another content": lambda found: _written(found | {_embedding(found): b"x" * 100}, listed=found),
    "an embedding that is none": lambda found: _written(found | {_embedding(found): b"x" * 100}),
    "a person without an embedding": lambda found: _written(
        {name: content for name, content in found.items() if name != _embedding(found)}
    ),
    "no registry": lambda found: _written({name: found[name] for name in found if name != "registry.db"}),
    "a registry that is none": lambda found: _written(found | {"registry.db": b"SQLite format 3\0" + b"x" * 5000}),
    "a registry with a trigger": lambda found: _written(
        _in_registry(found, "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM identities; END")
    ),
    "a registry with more tables": lambda found: _written(_in_registry(found, "CREATE TABLE more (x)")),
    "a name that is none": lambda found: _written(
        _in_registry(found, "UPDATE identities SET name = '../x' WHERE name = 'bob'")
    ),
    "an id that is a path": lambda found: _written(
        _in_registry(found, "PRAGMA foreign_keys = OFF", "UPDATE identities SET id = '../../x' WHERE name = 'bob'")
    ),
    "tags that are none": lambda found: _written(_in_registry(found, "UPDATE identities SET tags = '[5]'")),
    "no JSON": lambda found: _written(_in_registry(found, "UPDATE identities SET method = '{' WHERE name = 'bob'")),
}


@pytest.mark.parametrize("what", FORGED)
def test_of_a_forged_backup_nothing_is_taken(backup, faceid, monkeypatch, what) -> None:
    forged = FORGED[what](_read(backup))
    _elsewhere(monkeypatch)
    answer = faceid("restore", forged)
    assert answer.code == 11, answer.err
    assert "forged.zip" in answer.err
    assert "Traceback" not in answer.err
    assert faceid("list", "-q").out == ""
    there = [path for path in paths.home().rglob("*") if path.is_file()]
    assert [path for path in there if path.name != "registry.db"] == []
    assert not list(Path("/tmp").glob("evil.*"))


def test_a_backup_that_was_cut_or_changed_anywhere_is_refused(backup, faceid, monkeypatch) -> None:
    whole = backup.read_bytes()
    _elsewhere(monkeypatch)
    step = len(whole) // 40
    for place in range(0, len(whole), step):
        backup.write_bytes(whole[:place])
        assert faceid("restore", backup).code == 11, f"cut at {place}"
        backup.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        answer = faceid("restore", backup)
        assert answer.code == 11 or faceid("list", "-q").out == "alice\nbob\n", f"changed at {place}: {answer.err}"
        if answer.code == 0:  # a byte that means nothing, such as a date
            faceid("remove", "alice", "bob", "-y")


def test_a_newer_backup_says_so(backup, faceid, monkeypatch) -> None:
    found = _read(backup)
    manifest = json.loads(found["manifest.json"]) | {"version": 99}
    forged = _written(found | {"manifest.json": json.dumps(manifest).encode()})
    _elsewhere(monkeypatch)
    answer = faceid("restore", forged)
    assert (answer.code, answer.err.splitlines()[1]) == (11, "  install a newer faceid")


def test_a_backup_of_the_first_version_of_the_registry_is_brought_up_to_date(backup, faceid, monkeypatch) -> None:
    old = Path(__file__).parents[1] / "registry" / "data" / "v1.sql"
    with closing(sqlite3.connect("old.db")) as connection:
        connection.executescript(old.read_text())
        (ada,) = connection.execute("SELECT id FROM identities").fetchone()
    found = _read(backup)
    contents = {
        "manifest.json": found["manifest.json"],
        "registry.db": Path("old.db").read_bytes(),
        f"identities/{ada}.safetensors": found[_embedding(found)],
    }
    forged = _written(contents)
    _elsewhere(monkeypatch)
    answer = faceid("restore", forged, "-q")
    assert (answer.code, answer.out) == (0, "Ada\n"), answer.err


def test_the_key_that_signs_pictures_is_in_no_backup(faceid, add_person) -> None:
    add_person("alice")
    paths.signing_key_file().write_bytes(b"-----BEGIN PRIVATE KEY-----")
    assert faceid("backup", "all.zip").code == 0
    with zipfile.ZipFile("all.zip") as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pem")]
    assert b"PRIVATE KEY" not in Path("all.zip").read_bytes()

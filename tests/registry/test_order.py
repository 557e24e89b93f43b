"""registry/store.py: what comes first, what goes with what, and what is gone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from faceid_cli.registry.forgetting import backups_of
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

PERSON = NewIdentity("zoe", "woman", "builtin", "sd1:0123456789abcdef", {"method": "sefi"})


def write(identity: Identity) -> None:
    identity.path.write_text("embedding")


def run(number: int) -> NewRun:
    return NewRun({"steps": number}, ((0.5 / number, 0.25),), float(number))


def add_run(registry: Registry, name: str, new: NewRun) -> None:
    """As an older version recorded a further run of a person."""
    values = (name, new.seconds, json.dumps(new.settings), json.dumps(new.losses))
    with closing(sqlite3.connect(registry.file)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (identity_id, created, seconds, resumed_from, settings, losses, scores) "
            "SELECT id, '2026-01-01', ?2, 0, ?3, ?4, '{}' FROM identities WHERE name = ?1",
            values,
        )


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry.db", tmp_path / "identities") as opened:
        yield opened


def test_runs_come_oldest_first_and_the_last_one_is_the_newest(registry: Registry) -> None:
    registry.add_identity(PERSON, write, run(1))
    registry.add_identity(replace(PERSON, name="al"), write, run(9))
    for number in (2, 3):
        add_run(registry, "zoe", run(number))
    assert [found.run for found in registry.runs_of("ZOE")] == [run(1), run(2), run(3)]
    assert [found.run for found in registry.runs_of("al")] == [run(9)]


def test_people_come_by_name_however_they_were_enrolled(registry: Registry) -> None:
    for name in ("zoe", "bob", "Carl", "alice"):
        registry.add_identity(replace(PERSON, name=name), write)
    assert [person.name for person in registry.list()] == ["alice", "bob", "Carl", "zoe"]


def test_pictures_come_oldest_first_with_their_people_in_the_order_of_the_prompt(
    registry: Registry, tmp_path: Path
) -> None:
    people = [registry.add_identity(replace(PERSON, name=name), write).id for name in ("a", "b", "c", "d")]
    orders = [tuple(people), tuple(people[::-1]), (people[1], people[3], people[0])]
    made = [NewRender(ids, tmp_path / f"{9 - n}.png", "x", 9 - n, {}) for n, ids in enumerate(orders)]
    for render in made:
        registry.add_renders([render])
    assert [found.render for found in registry.renders_of("a")] == made
    assert [found.render for found in registry.renders_of("c")] == made[:2]


def test_who_gives_way_takes_runs_and_pictures_along(registry: Registry, tmp_path: Path) -> None:
    old = registry.add_identity(PERSON, write, run(1))
    bob = registry.add_identity(replace(PERSON, name="bob"), write, run(2))
    pictures = [NewRender(ids, tmp_path / "x.png", "x", 1, {}) for ids in ((old.id,), (bob.id, old.id), (bob.id,))]
    registry.add_renders(pictures)
    new = registry.replace_identity(PERSON, write, run(3))
    assert new.id != old.id
    assert not old.path.exists()
    assert new.path.exists()
    assert [found.run for found in registry.runs_of("zoe")] == [run(3)]
    assert registry.renders_of("zoe") == []
    assert [found.render for found in registry.renders_of("bob")] == [pictures[2]]
    with closing(sqlite3.connect(registry.file)) as connection:
        left = [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("runs", "render_people")]
    assert left == [2, 1], "nothing is left that nobody asks for"
    assert registry.problems() == []


def test_removal_tells_of_pictures_oldest_first(registry: Registry, tmp_path: Path) -> None:
    zoe = registry.add_identity(PERSON, write, run(1))
    add_run(registry, "zoe", run(2))
    files = [tmp_path / name for name in ("c.png", "a.png", "b.png")]
    registry.add_renders([NewRender((zoe.id,), file, "x", 1, {}) for file in files])
    removed = registry.remove("zoe")
    assert (removed.runs, removed.pictures) == (2, tuple(files))
    assert not zoe.path.exists()


def test_backups_come_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"registry.db.m{number:03}.2026010{number}.bak" for number in (3, 1, 6, 2, 5, 4)]
    for name in names:
        (tmp_path / name).touch()
    # File systems list a folder in an order of their own, some of them sorted.
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: iter([folder / name for name in names]))
    assert [file.name for file in backups_of(tmp_path / "registry.db")] == sorted(names)


def test_what_a_removal_deletes_is_overwritten_at_once(tmp_path: Path) -> None:
    """Without the cleaning that follows: that may have to wait for another program."""
    file, mark = tmp_path / "registry.db", "note-0815 " * 20
    with Registry.open(file, tmp_path / "identities") as registry:
        registry.add_identity(replace(PERSON, note=mark), write)
        registry.add_identity(replace(PERSON, name="bob"), write)
        assert mark.encode() in b"".join(each.read_bytes() for each in tmp_path.glob("registry.db*"))
        registry.remove("zoe")
    assert mark.encode() not in b"".join(each.read_bytes() for each in tmp_path.glob("registry.db*"))

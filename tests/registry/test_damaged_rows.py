"""A row that was damaged does not hide the others: it is listed, named by doctor, not used, and can be removed."""

import sqlite3
from contextlib import closing

import pytest

from faceid_cli.api.doctor import _registry
from faceid_cli.api.history import history
from faceid_cli.api.list import list_identities
from faceid_cli.api.opening import open_people
from faceid_cli.api.remove import remove
from faceid_cli.api.show import show
from faceid_cli.errors import RegistryError
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import IdentityMetadata, save_identity
from faceid_cli.registry.history import render_with_pixels
from faceid_cli.registry.quick import known_names, quick_identities
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun
from faceid_cli.registry.requests import requests_below, seconds_per_step
from faceid_cli.registry.store import Registry


@pytest.fixture
def people(tmp_path) -> None:
    """alice and bob, with a run and a picture each."""
    import numpy as np

    def write(person):
        features = {"text_encoder": np.zeros((5, 1, 32), np.float32)}
        save_identity(person.path, features, features, IdentityMetadata(person.name, "woman", "builtin", "sd1:0"))

    with Registry.open() as registry:
        for name in ("alice", "bob"):
            new = NewIdentity(name, "woman", "builtin", "sd1:0", {"method": "sefi"}, ("a" * 64,), ("tag",))
            person = registry.add_identity(new, write, NewRun({"steps": 3}, ((0.5, 0.25),), 1.0))
            registry.add_renders([NewRender((person.id,), tmp_path / "a.png", "a cup", 1, {"steps": 3})])


def damage(table: str, column: str, value: object) -> None:
    with closing(sqlite3.connect(paths.registry_file())) as connection, connection:
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (value,))


@pytest.mark.parametrize("value", ["", "{", "5", "null", '"x"', "[5]", b"\xff\xfe", "[" * 5000, 7, '{"a": NaN'])
@pytest.mark.parametrize("column", ["method", "photo_hashes", "tags"])
def test_a_damaged_table_or_list_costs_that_alone(people, column, value) -> None:
    damage("identities", column, value)
    with Registry.open() as registry:
        alice, bob = registry.list()
    assert (alice.name, alice.damaged, bob.damaged) == ("alice", (column,), ())
    assert alice.class_word == "woman"
    assert show("alice").runs[0].run.losses == ((0.5, 0.25),)
    found = next(each for each in _registry() if "damaged" in each.detail)
    assert (found.state, found.detail) == ("fail", f"the entry of alice is damaged: {column}")
    with pytest.raises(RegistryError, match=f"the registry's entry of alice is damaged: {column}"):
        open_people(["alice"])
    remove("alice")
    with Registry.open() as registry:
        assert [person.name for person in registry.list()] == ["bob"]


@pytest.mark.parametrize("column", ["class_word", "base_model", "created", "note", "consent"])
def test_bytes_in_the_place_of_a_text_cost_that_alone(people, column) -> None:
    damage("identities", column, b"\xff\x00")
    with Registry.open() as registry:
        assert [person.damaged for person in registry.list()] == [(column,), ()]


def test_text_that_is_no_utf_8_hides_nobody(people) -> None:
    with closing(sqlite3.connect(paths.registry_file())) as connection, connection:
        connection.execute("UPDATE identities SET note = CAST(x'636166e9' AS TEXT) WHERE rowid = 1")
    assert show("alice").identity.note == "caf\udce9"
    with closing(sqlite3.connect(paths.registry_file())) as connection, connection:
        connection.execute("UPDATE identities SET name = CAST(x'636166e9' AS TEXT) WHERE rowid = 1")
    with Registry.open() as registry:
        assert [person.damaged for person in registry.list()] == [(), ("name",)]
    assert any(finding.detail.endswith("is damaged: name") for finding in _registry())


def test_who_has_lost_the_name_is_found_by_the_id(people) -> None:
    wanted = show("alice").identity.id
    damage("identities", "name", b"\xff")
    with Registry.open() as registry:
        assert registry.list()[-1].name == wanted
    assert known_names() == ["bob"]
    remove(wanted)
    with Registry.open() as registry:
        assert [person.name for person in registry.list()] == ["bob"]


@pytest.mark.parametrize("value", ["../../outside", "a/b", ".."])
def test_a_damaged_id_never_becomes_a_path(people, value) -> None:
    with closing(sqlite3.connect(paths.registry_file())) as connection, connection:
        connection.execute("UPDATE identities SET id = ? WHERE rowid = 1", (value,))
    with Registry.open() as registry:
        alice = registry.get("alice")
    assert alice.damaged == ("id",)
    assert alice.path.parent == paths.identities_dir()


@pytest.mark.parametrize(
    ("table", "column"),
    [("runs", "losses"), ("runs", "scores"), ("runs", "settings"), ("renders", "settings"), ("renders", "seed")],
)
@pytest.mark.parametrize("value", ["[[1]]", "7", "{", b"\xff"])
def test_damaged_records_of_runs_and_pictures_hide_nobody(people, table, column, value) -> None:
    damage(table, column, value)
    found = show("alice")
    assert (len(found.runs), len(found.renders)) == (1, 1)
    remove("alice")


def test_who_has_a_damaged_id_can_be_removed(people) -> None:
    with closing(sqlite3.connect(paths.registry_file())) as connection, connection:
        connection.execute("UPDATE identities SET id = '../../outside' WHERE rowid = 1")
    remove("alice")
    assert [person.name for person in list_identities()] == ["bob"]


@pytest.mark.parametrize("value", ["../../outside", b"\xff"])
def test_the_quick_look_leaves_damaged_rows_to_the_registry(people, value) -> None:
    with closing(sqlite3.connect(paths.registry_file())) as connection, connection:
        connection.execute("UPDATE identities SET id = ? WHERE rowid = 1", (value,))
    assert quick_identities() is None
    assert [person.damaged for person in list_identities()] == [("id",), ()]


@pytest.mark.parametrize(
    ("column", "value"),
    [("settings", "{"), ("settings", b"\xff"), ("settings", "[5]"), ("path", b"\xff"), ("created", 5), ("prompt", 7)],
)
def test_a_damaged_row_of_a_picture_hides_no_other_from_history_and_batch(people, tmp_path, column, value) -> None:
    damage("renders", column, value)
    assert len(history()) == 2
    assert next(made.names for made in history("cup")) == ("bob",)
    with Registry.open() as registry:
        assert render_with_pixels(registry, 1, "0" * 64) is None
        assert set(requests_below(registry, tmp_path).values()) == {""}
        assert seconds_per_step(registry, "sd1:0") is None

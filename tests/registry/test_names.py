import sqlite3

import pytest

from faceid_cli.errors import InvalidNameError
from faceid_cli.registry.names import check_name
from faceid_cli.registry.quick import known_names


@pytest.mark.parametrize("name", ["a", "Alice", "alice-2", "_x", "7", "con", "a" * 64])
def test_allowed_names_come_back_as_they_are(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the name is empty"),
        ("a" * 65, f"the name {'a' * 20!r}... is 65 characters long"),
        ("-x", "the name '-x' begins with \"-\""),
        ("../alice", "'../alice' is not a name"),
        ("a b", "'a b' is not a name"),
        ("alice\n", "'alice\\n' is not a name"),
        ("zoë", "'zoë' is not a name"),
        ("٣", "'٣' is not a name"),
        ("<alice>", "'<alice>' is not a name"),
    ],
)
def test_other_names_are_refused_in_plain_words(name: str, message: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        check_name(name)
    assert caught.value.message == message
    assert caught.value.hint == 'use letters (a-z), digits, "-" and "_", 1 to 64 of them'


def test_known_names_are_read_without_sqlmodel_and_without_creating_anything(tmp_path) -> None:
    file = tmp_path / "registry.db"
    assert known_names(file) == []
    assert not file.exists()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE identities (name TEXT)")
        connection.executemany("INSERT INTO identities VALUES (?)", [("bob",), ("alice",)])
    connection.close()
    assert known_names(file) == ["alice", "bob"]


def test_known_names_of_a_damaged_file_are_none(tmp_path) -> None:
    file = tmp_path / "registry.db"
    file.write_bytes(b"not a database" * 100)
    assert known_names(file) == []

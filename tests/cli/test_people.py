"""list, show, rename, remove: what they print, and what is left on disk."""

import io
import sys

import pytest

from faceid_cli.kept import paths
from faceid_cli.kept.runs import checkpoint_dir
from faceid_cli.registry.records import NewRender
from faceid_cli.registry.store import Registry


def test_nobody_is_enrolled_at_first_and_nothing_is_written(faceid) -> None:
    answer = faceid("list")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.splitlines() == ["nobody is enrolled", "next: faceid demo, or faceid enroll NAME PHOTOS..."]
    assert not paths.home().exists()


def test_list_is_a_table(faceid, add_person) -> None:
    add_person("bob", class_word="man", tags=("family", "work"))
    add_person("Alice")
    lines = faceid("list").out.splitlines()
    assert lines[0].split() == ["NAME", "CLASS", "METHOD", "PHOTOS", "BASE", "MODEL", "CREATED", "TAGS"]
    assert lines[1].startswith("Alice  woman  sefi, 300 steps  1       builtin     20")
    assert lines[2].endswith("  family, work")
    assert faceid("list", "-q").out == "Alice\nbob\n"
    assert faceid("list", "--tag", "work", "-q").out == "bob\n"
    assert faceid("list", "--tag", "none").err.startswith("nobody has the tag none\n")


def test_list_as_json_has_stable_keys(faceid, add_person) -> None:
    add_person("alice")
    data = faceid("list", "--json").data
    assert (data["version"], data["command"]) == (1, "list")
    assert set(data["identities"][0]) == {
        "name",
        "id",
        "class_word",
        "base_model",
        "base_fingerprint",
        "method",
        "photo_hashes",
        "created",
        "tags",
        "note",
        "consent",
        "file",
    }


def test_ls_is_list(faceid, add_person) -> None:
    add_person("alice", tags=("family",))
    assert faceid("ls").out == faceid("list").out
    assert faceid("ls", "--tag", "family", "-q").out == "alice\n"


def test_tags_come_and_go(faceid, add_person) -> None:
    alice = add_person("alice", tags=("family",))
    assert (
        faceid("tag", "Alice", "work", "old friend", "family").out == "alice has the tags: family, work, old friend\n"
    )
    assert faceid("list", "--tag", "work", "-q").out == "alice\n"
    answer = faceid("tag", "alice", "family", "wrok", "--remove")
    assert (answer.code, answer.out) == (0, "alice has the tags: work, old friend\n")
    assert answer.err == "alice had no tag wrok\n"
    assert faceid("tag", "alice", "work", "old friend", "--remove").out == "alice has no tags\n"
    for words, code in ((("alice", "a,b"), 2), (("alice", " "), 2), (("nobody", "a"), 3), (("alice",), 2)):
        assert faceid("tag", *words).code == code
    data = faceid("tag", "alice", "x", "--json").data
    assert (data["identity"]["tags"], data["identity"]["id"]) == (["x"], alice.id)


def test_a_note_takes_the_place_of_the_one_before_and_travels(faceid, add_person) -> None:
    add_person("alice", note="from the holidays")
    assert faceid("note", "alice", 'wedding; 2026 & "quoted"').out == 'note of alice: wedding; 2026 & "quoted"\n'
    assert 'note        wedding; 2026 & "quoted"' in faceid("show", "alice").out
    assert faceid("export", "alice").code == 0
    faceid("import", "alice.safetensors", "--name", "anna")
    assert faceid("show", "anna", "--json").data["identity"]["note"] == 'wedding; 2026 & "quoted"'
    assert faceid("note", "alice", "").out == "alice has no note\n"
    assert "\nnote" not in faceid("show", "alice").out
    assert faceid("note", "nobody", "x").code == 3


@pytest.mark.parametrize(("pictures", "more"), [(0, None), (10, None), (11, "1 picture"), (25, "15 pictures")])
def test_show_says_the_last_ten_pictures_and_how_many_more(faceid, add_person, tmp_path, pictures, more) -> None:
    alice = add_person("alice")
    with Registry.open() as registry:
        registry.add_renders(
            [NewRender((alice.id,), tmp_path / f"{number}.png", "x", number, {}) for number in range(pictures)]
        )
    lines = faceid("show", "alice").out.splitlines()
    shown = [line for line in lines if line.startswith("picture ")]
    assert [f"{tmp_path}/{number}.png" in line for number, line in enumerate(shown, max(pictures - 10, 0))] == [
        True
    ] * min(pictures, 10)
    told = [line for line in lines if line.startswith("...")]
    assert told == ([] if more is None else [f"... and {more} before these (--json has all)"])
    assert len(faceid("show", "alice", "--json").data["renders"]) == pictures


def test_an_unknown_name_gets_a_suggestion(faceid, add_person) -> None:
    add_person("alice")
    answer = faceid("show", "alise")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == "error: no identity is called 'alise'\n  did you mean alice?\n"


def test_rename(faceid, add_person) -> None:
    add_person("alice")
    add_person("bob")
    taken = faceid("rename", "alice", "bob")
    assert taken.code == 7
    assert taken.err == "error: bob is enrolled already\n  choose another name, or remove them first\n", (
        "no --replace here"
    )
    assert faceid("rename", "alice", "a b").code == 2
    answer = faceid("rename", "alice", "anna")
    assert (answer.code, answer.out) == (0, "alice is now called anna\n")
    assert faceid("list", "-q").out == "anna\nbob\n"


def test_remove_deletes_everything_of_the_person(faceid, add_person) -> None:
    alice, bob = add_person("alice"), add_person("bob")
    answer = faceid("remove", "alice", "-y")
    assert (answer.code, answer.out) == (0, "removed alice and 1 training run\n")
    assert not alice.path.exists()
    assert bob.path.exists()
    assert faceid("list", "-q").out == "bob\n"


def test_remove_cleans_backups_and_says_which_it_could_not(faceid, add_person) -> None:
    add_person("alice")
    backup, damaged = (paths.registry_file().with_name(f"registry.db.m001.{number}.bak") for number in (1, 2))
    backup.write_bytes(paths.registry_file().read_bytes())
    damaged.write_bytes(b"rubbish " * 1000)
    answer = faceid("remove", "alice", "-y", "--json")
    assert answer.code == 9
    assert answer.data["left"] == [str(damaged)]
    assert answer.err == f"warning: could not be deleted or cleaned, do it by hand: {damaged}\n"
    assert b"alice" not in backup.read_bytes()
    assert faceid("list", "-q").out == ""


def test_remove_forgets_an_interrupted_enrolment(faceid, add_person) -> None:
    add_person("alice")
    folder = checkpoint_dir("carol")
    (folder / "previews").mkdir(parents=True)
    (folder / "checkpoint.safetensors").write_bytes(b"half of carol")
    answer = faceid("remove", "carol", "-y")
    assert (answer.code, answer.out) == (0, "removed the interrupted enrolment of carol\n")
    assert not folder.exists()
    assert faceid("list", "-q").out == "alice\n"
    assert faceid("remove", "carol", "-y").code == 3


def test_remove_never_asks_where_nobody_sits(faceid, add_person, monkeypatch) -> None:
    add_person("alice")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    answer = faceid("remove", "alice")
    assert answer.code == 2
    assert answer.err == (
        "error: cannot ask here: Forget alice, with everything that was learned?\n  give -y to say yes\n"
    )
    assert faceid("list", "-q").out == "alice\n"


@pytest.mark.parametrize(("typed", "left", "code"), [("y\n", "", 0), ("n\n", "alice\n", 1), ("\n", "alice\n", 1)])
def test_remove_asks_in_a_terminal(faceid, add_person, monkeypatch, typed, left, code) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    add_person("alice")
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    answer = faceid("remove", "alice")
    assert answer.code == code
    assert "Forget alice, with everything that was learned? [y/N]" in answer.err
    assert faceid("list", "-q").out == left


def test_a_damaged_registry_is_named(faceid) -> None:
    paths.home().mkdir(parents=True)
    paths.registry_file().write_bytes(b"rubbish " * 1000)
    answer = faceid("list")
    assert answer.code == 6
    assert answer.err.startswith(f"error: the registry {paths.registry_file()} is damaged\n")

"""Scripts that are run night after night: each command has a way to be given twice."""

import os
from pathlib import Path

import pytest

from faceid_cli.kept.runs import checkpoint_dir


def test_resume_begins_where_nothing_was_begun(faceid, photos, tiny_model_dir, quick) -> None:
    answer = faceid("enroll", "bob", photos, "--model", tiny_model_dir, *quick, "--resume")
    assert answer.code == 0, answer.err
    assert "there is nothing to resume, so the enrolment of bob begins" in answer.err
    assert faceid("list", "-q").out == "bob\n"


def test_resume_begins_where_there_is_no_checkpoint_yet(faceid, photos, tiny_model_dir, quick) -> None:
    (checkpoint_dir("bob") / "previews").mkdir(parents=True)
    answer = faceid("enroll", "bob", photos, "--model", tiny_model_dir, *quick, "--resume")
    assert answer.code == 0, answer.err
    assert "is given up" not in answer.err
    assert not checkpoint_dir("bob").exists()


def test_if_missing_learns_once(alice, faceid, photos, tiny_model_dir, quick) -> None:
    words = ("--model", tiny_model_dir, *quick, "--if-missing", "--resume")
    before = faceid("show", "alice", "--json").data["identity"]
    for name in ("alice", "Alice"):
        answer = faceid("enroll", name, "photos-that-have-gone", *words)
        assert (answer.code, answer.out, answer.err) == (0, "alice is enrolled already: skipped\n", "")
    assert faceid("enroll", "alice", photos, *words, "-q").out == "alice\n"
    data = faceid("enroll", "alice", photos, *words, "--json").data
    assert (data["skipped"], data["identity"]) == (True, before)
    first = faceid("enroll", "bob", photos, *words, "--json").data
    assert (first["skipped"], first["identity"]["name"]) == (False, "bob")
    again = faceid("enroll", "bob", photos, *words, "--json").data
    assert (again["skipped"], again["identity"]) == (True, first["identity"])


def test_if_missing_is_for_python_too(alice) -> None:
    import faceid_cli

    assert faceid_cli.enroll("alice", "nowhere", if_missing=True).name == "alice"


def test_what_cannot_both_be_meant(alice, faceid, photos) -> None:
    answer = faceid("enroll", "alice", photos, "--if-missing", "--replace")
    assert (answer.code, answer.out) == (2, "")
    assert faceid("enroll", "a/b", photos, "--if-missing").code == 2


def test_export_can_be_given_twice(faceid, add_person) -> None:
    add_person("alice", note="first")
    assert faceid("export", "alice").code == 0
    content = Path("alice.safetensors").read_bytes()
    second = faceid("export", "alice")
    assert second.code == 9
    assert "--replace to write over it" in second.err
    faceid("remove", "alice", "-y")
    add_person("alice", note="second")
    assert faceid("export", "alice", "--replace").code == 0
    assert Path("alice.safetensors").read_bytes() != content
    faceid("import", "alice.safetensors", "--replace")
    assert faceid("show", "alice", "--json").data["identity"]["note"] == "second"


@pytest.mark.parametrize("content", [b"", b"my letters", b"\x02\0\0\0\0\0\0\0{}"])
def test_export_replaces_nothing_but_exports(faceid, add_person, content) -> None:
    add_person("alice")
    Path("alice.safetensors").write_bytes(content)
    answer = faceid("export", "alice", "--replace")
    assert answer.code == 9
    assert "is no person of faceid" in answer.err
    assert Path("alice.safetensors").read_bytes() == content


def test_several_are_exported_or_none(faceid, add_person) -> None:
    for name in ("alice", "bob"):
        add_person(name)
    os.mkdir("out")
    assert faceid("export", "alice", "nobody", "-o", "out").code == 3
    assert faceid("export", "alice", "bob", "-o", "both.safetensors").code == 2
    Path("out/bob.safetensors").touch()
    assert faceid("export", "alice", "bob", "-o", "out").code == 9
    assert os.listdir("out") == ["bob.safetensors"]
    os.remove("out/bob.safetensors")
    made = faceid("export", "alice", "Bob", "ALICE", "-o", "out", "--json").data
    files = [(each["name"], each["file"]) for each in made["exports"]]
    assert files == [(name, f"out/{name}.safetensors") for name in ("alice", "bob")]
    assert sorted(os.listdir("out")) == ["alice.safetensors", "bob.safetensors"]
    assert faceid("export", "alice", "bob", "-o", "out", "--replace", "-q").out.split() == [
        "out/alice.safetensors",
        "out/bob.safetensors",
    ]
    assert faceid("export", "alice", "-o", "out", "--replace", "--json").data["file"] == "out/alice.safetensors"


def test_several_are_removed_or_none(faceid, add_person) -> None:
    for name in ("alice", "bob", "carol"):
        add_person(name)
    assert faceid("remove", "alice", "nobody", "-y").code == 3
    assert faceid("remove", "alice", "bob").err.startswith(
        "error: cannot ask here: Forget alice and bob, with everything that was learned?\n"
    )
    assert faceid("list", "-q").out == "alice\nbob\ncarol\n"
    answer = faceid("remove", "alice", "Bob", "ALICE", "-y", "--json")
    assert answer.code == 0
    assert [each["name"] for each in answer.data["removed"]] == ["alice", "bob"]
    assert faceid("list", "-q").out == "carol\n"


def test_remove_can_be_given_twice(faceid, add_person) -> None:
    add_person("alice")
    (checkpoint_dir("bob") / "previews").mkdir(parents=True)
    words = ("remove", "alice", "bob", "-y", "--if-enrolled")
    assert faceid(*words).out == "removed alice and 1 training run\nremoved the interrupted enrolment of bob\n"
    again = faceid(*words)
    assert (again.code, again.out, again.err) == (0, "", "alice is not enrolled\nbob is not enrolled\n")
    assert faceid(*words[:-1]).code == 3

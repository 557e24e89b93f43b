import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faceid_cli.errors import InvalidNameError, NameTakenError, UnknownNameError, UsageError
from faceid_cli.registry.mending import lost_files
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

ALICE = NewIdentity(
    name="Alice",
    class_word="woman",
    base_model="builtin",
    base_fingerprint="sd1:0123456789abcdef",
    method={"method": "sefi", "steps": 300, "lambda": 0.003},
    photo_hashes=("a" * 64, "b" * 64),
    tags=("family", "blue eyes"),
    note="first of all",
)
RUN = NewRun({"steps": 2}, ((0.5, 0.25), (0.4, 0.2)), 61.5, 1, {"identity": 0.8})


def embed(text: str = "embedding") -> Any:
    def write(identity: Identity) -> None:
        identity.path.write_text(text)

    return write


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "home" / "registry.db", tmp_path / "home" / "identities") as opened:
        yield opened


def files(registry: Registry) -> list[Path]:
    return sorted(registry.embeddings_dir.glob("*"))


def test_an_identity_comes_back_as_it_was_put_in(registry: Registry) -> None:
    added = registry.add_identity(ALICE, embed(), RUN)
    found = registry.get("alice")
    assert found == added
    assert (found.name, found.class_word, found.method) == ("Alice", "woman", ALICE.method)
    assert (found.photo_hashes, found.tags, found.note) == (ALICE.photo_hashes, ALICE.tags, ALICE.note)
    assert found.path.read_text() == "embedding"
    assert found.path.name == f"{found.id}.safetensors"
    assert registry.runs_of("ALICE")[0].run == RUN


def test_a_registry_that_is_only_read_is_not_created(tmp_path: Path) -> None:
    with Registry.open(tmp_path / "home" / "registry.db", create=False) as registry:
        assert registry.list() == []
        with pytest.raises(UnknownNameError):
            registry.get("alice")
    assert list(tmp_path.iterdir()) == []


def test_names_are_unique_whatever_their_case(registry: Registry) -> None:
    registry.add_identity(ALICE, embed())
    with pytest.raises(NameTakenError) as caught:
        registry.add_identity(replace(ALICE, name="aLICE"), embed("other"))
    assert caught.value.message == "Alice is enrolled already"
    assert [file.read_text() for file in files(registry)] == ["embedding"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": "a/b"}, InvalidNameError, "'a/b' is not a name"),
        ({"class_word": " "}, UsageError, "the class word is empty"),
        ({"photo_hashes": ("xyz",)}, UsageError, "'xyz' is not a SHA-256 digest"),
        ({"tags": ("a,b",)}, UsageError, "'a,b' is not a tag"),
    ],
)
def test_what_cannot_be_kept_is_refused(change: dict[str, Any], error: type[UsageError], message: str) -> None:
    with pytest.raises(error) as caught:
        replace(ALICE, **change)
    assert caught.value.message == message


@pytest.mark.parametrize("failure", [OSError("disk"), KeyboardInterrupt()])
def test_a_failing_file_leaves_neither_file_nor_row(registry: Registry, failure: BaseException) -> None:
    def fail(identity: Identity) -> None:
        identity.path.write_text("half")
        raise failure

    with pytest.raises(type(failure)):
        registry.add_identity(ALICE, fail)
    assert files(registry) == []
    assert registry.list() == []


def test_a_failing_row_leaves_neither_file_nor_row(registry: Registry) -> None:
    unserialisable = replace(ALICE, method={"x": object()})
    with pytest.raises(Exception, match="serializable"):
        registry.add_identity(unserialisable, embed())
    assert files(registry) == []
    assert registry.list() == []


def test_a_failing_run_takes_the_identity_with_it(registry: Registry) -> None:
    with pytest.raises(Exception, match="serializable"):
        registry.add_identity(ALICE, embed(), NewRun({"x": object()}, (), 0.0))
    assert files(registry) == []
    assert registry.list() == []


def test_replace_keeps_the_old_identity_until_the_new_one_is_complete(registry: Registry) -> None:
    old = registry.add_identity(ALICE, embed("old"), RUN)

    def fail(identity: Identity) -> None:
        assert registry.get("alice") == old
        assert old.path.read_text() == "old"
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        registry.replace_identity(replace(ALICE, note="new"), fail)
    with pytest.raises(Exception, match="serializable"):
        registry.replace_identity(replace(ALICE, method={"x": object()}), embed("new"))
    assert registry.get("alice") == old
    assert len(registry.runs_of("alice")) == 1
    assert [file.read_text() for file in files(registry)] == ["old"]


def test_replace_leaves_only_the_new_identity(registry: Registry) -> None:
    registry.add_identity(ALICE, embed("old"), RUN)
    new = registry.replace_identity(replace(ALICE, name="ALICE", note="new"), embed("new"))
    assert registry.list() == [new]
    assert (new.name, new.note) == ("ALICE", "new")
    assert registry.runs_of("alice") == []
    assert [file.read_text() for file in files(registry)] == ["new"]


def test_rename_keeps_everything_else(registry: Registry) -> None:
    old = registry.add_identity(ALICE, embed(), RUN)
    assert registry.rename("alice", "Bob") == replace(old, name="Bob")
    assert registry.get("bob").path.read_text() == "embedding"
    assert registry.find("alice") is None
    assert registry.rename("bob", "BOB").name == "BOB", "only the case changes"


def test_rename_refuses_what_is_taken_unknown_or_no_name(registry: Registry) -> None:
    registry.add_identity(ALICE, embed())
    registry.add_identity(replace(ALICE, name="bob"), embed())
    with pytest.raises(NameTakenError):
        registry.rename("alice", "BOB")
    with pytest.raises(InvalidNameError):
        registry.rename("alice", "b/c")
    with pytest.raises(UnknownNameError) as caught:
        registry.rename("alise", "carol")
    assert caught.value.message == "no identity is called 'alise'"
    assert caught.value.hint == "did you mean Alice?"
    assert [entry.name for entry in registry.list()] == ["Alice", "bob"]


def test_remove_takes_file_runs_and_render_records_and_tells_of_the_pictures(
    registry: Registry, tmp_path: Path
) -> None:
    alice = registry.add_identity(ALICE, embed(), RUN)
    bob = registry.add_identity(replace(ALICE, name="bob"), embed())
    alone = NewRender((bob.id,), tmp_path / "bob.png", "at the sea", 1, {})
    both = NewRender((bob.id, alice.id), tmp_path / "both.png", "<bob> and <alice>", 2**32 - 1, {"steps": 20})
    registry.add_renders([alone, both])
    assert [record.render for record in registry.renders_of("bob")] == [alone, both]
    assert [record.render for record in registry.renders_of("alice")] == [both]

    removed = registry.remove("ALICE")
    assert (removed.identity, removed.runs, removed.pictures) == (alice, 1, (tmp_path / "both.png",))
    assert files(registry) == [bob.path]
    assert [record.render for record in registry.renders_of("bob")] == [alone]
    assert registry.problems() == []


def test_renders_of_somebody_removed_are_not_recorded(registry: Registry) -> None:
    alice = registry.add_identity(ALICE, embed())
    good = NewRender((alice.id,), Path("a.png"), "x", 1, {})
    with pytest.raises(UnknownNameError):
        registry.add_renders([good, NewRender(("f" * 32,), Path("b.png"), "x", 1, {})])
    assert registry.renders_of("alice") == []


def test_list_is_sorted_and_filtered_by_tag(registry: Registry) -> None:
    registry.add_identity(replace(ALICE, name="zoe", tags=("b",)), embed())
    registry.add_identity(replace(ALICE, name="Bob", tags=("a", "b")), embed())
    registry.add_identity(replace(ALICE, name="alice", tags=("a",)), embed())
    assert [entry.name for entry in registry.list()] == ["alice", "Bob", "zoe"]
    assert [entry.name for entry in registry.list(tag="b")] == ["Bob", "zoe"]


def test_missing_and_stray_files_are_problems(registry: Registry) -> None:
    alice = registry.add_identity(ALICE, embed())
    alice.path.rename(alice.path.with_name("stray.safetensors"))
    assert registry.problems() == [
        f"Alice has no file: {alice.path}",
        f"a file that belongs to nobody: {alice.path.with_name('stray.safetensors')}",
    ]


def test_what_another_process_is_writing_is_no_stray_file(registry: Registry) -> None:
    registry.add_identity(ALICE, embed())
    scratch = registry.embeddings_dir / ".faceid-01234567-89abcdef.tmp"
    scratch.write_text("half")
    assert (registry.problems(), lost_files(registry)) == ([], [])
    os.utime(scratch, (0, 0))
    assert registry.problems() == [f"a file that belongs to nobody: {scratch}"]
    assert lost_files(registry) == [scratch]


# A program of its own: where the tests lie, and how they were started, must not matter to the other processes.
ADD_ONE = """
import sys
from pathlib import Path
from faceid_cli.errors import FaceIDError
from faceid_cli.registry.records import NewIdentity
from faceid_cli.registry.store import Registry

folder, name = Path(sys.argv[1]), sys.argv[2]
try:
    with Registry.open(folder / "registry.db", folder / "identities") as registry:
        new = NewIdentity(name, "woman", "builtin", "sd1:0123456789abcdef", {})
        print(registry.add_identity(new, lambda identity: identity.path.write_text("embedding")).name)
except FaceIDError as error:
    print(type(error).__name__)
"""


def test_two_processes_that_want_one_name(tmp_path: Path) -> None:
    Registry.open(tmp_path / "registry.db").close()
    workers = [
        subprocess.Popen([sys.executable, "-c", ADD_ONE, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
        for name in ("alice", "ALICE", "bob")
    ]
    got = [worker.communicate(timeout=60)[0].strip() for worker in workers]
    assert got.count("NameTakenError") == 1  # either spelling can come first
    assert "bob" in got
    with Registry.open(tmp_path / "registry.db", tmp_path / "identities") as registry:
        assert len(registry.list()) == 2
        assert registry.problems() == []

"""What is left when a process ends in the middle, and that the next one finishes it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from faceid_cli.kept import paths
from faceid_cli.kept.material import keep_json
from faceid_cli.kept.runs import checkpoint_dir
from faceid_cli.registry.journal import Entry, Journal
from faceid_cli.registry.records import NewIdentity
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

ROOT = Path(__file__).parents[2]
ALICE = NewIdentity("alice", "woman", "builtin", "sd1:0123456789abcdef", {"method": "sefi"})


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry.open() as opened:
        yield opened


def write(identity: Identity) -> None:
    """An embedding, and material."""
    identity.path.write_text("embedding")
    keep_json(identity.id, "scores.json", {"of": "alice"})


def begin(registry: Registry, entry: Entry) -> None:
    """What a process has left that was killed after it wrote an entry."""
    with Journal(registry.file).entry(entry):
        pass


def files() -> list[str]:
    found = [path for path in paths.home().rglob("*") if path.is_file()]
    return sorted(path.name for path in found if not path.name.startswith("registry.db"))


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler")
def test_nothing_is_lost_at_points_all_over_a_replacement_and_a_removal() -> None:
    """A small dose of benchmarks/reliability.py; there is the table of all points."""
    words = [sys.executable, "-m", "benchmarks.reliability", "replace", "remove", "--every", "97", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tallies = json.loads(done.stdout)
    assert sum(tally["points"] for tally in tallies) >= 20
    assert [line for tally in tallies for line in (*tally["lost"], *tally["wrecks"], *tally["tracebacks"])] == []


@pytest.mark.parametrize("moment", ["begin", "commit"])
def test_ctrl_c_while_rows_change_places_waits_until_all_is_done(registry: Registry, moment: str) -> None:
    old = registry.add_identity(ALICE, write)

    def write_and_wait(identity: Identity) -> None:
        write(identity)
        event.listen(registry._engine, moment, lambda connection: signal.raise_signal(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        registry.replace_identity(replace(ALICE, note="new"), write_and_wait)
    with Registry.open() as later:
        (there,) = later.list()
        assert (there.note, there.id == old.id) == ("new", False)
        assert there.path.read_text() == "embedding"
        assert later.problems() == []
    assert files() == sorted([there.path.name, "scores.json"])


def test_ctrl_c_while_files_are_written_leaves_the_old_ones_alone(registry: Registry) -> None:
    old = registry.add_identity(ALICE, write)

    def stop(identity: Identity) -> None:
        write(identity)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.replace_identity(ALICE, stop)
    assert registry.list() == [old]
    assert files() == sorted([old.path.name, "scores.json"])


def test_files_of_somebody_who_was_never_kept_go_with_the_next_command(registry: Registry) -> None:
    old = registry.add_identity(ALICE, write)
    new = "ab" * 16
    write(replace(old, id=new, path=registry.embeddings_dir / f"{new}.safetensors"))
    begin(registry, Entry("keep", new, "alice", others=(old.id,)))
    with Registry.open() as later:
        assert later.list() == [old]
    assert files() == sorted([old.path.name, "scores.json"])


def test_a_removal_is_finished_by_whatever_comes_next(registry: Registry) -> None:
    alice = registry.add_identity(ALICE, write)
    checkpoint_dir("alice").mkdir(parents=True)
    begin(registry, Entry("remove", alice.id, "alice"))
    with Registry.open(create=False) as later:
        assert later.list() == []
        assert [(each.entry.name, each.left) for each in later.finished] == [("alice", ())]
    assert files() == []
    assert not checkpoint_dir("alice").exists()
    assert alice.id.encode() not in paths.registry_file().read_bytes()


def test_a_renaming_takes_the_checkpoint_along_later(registry: Registry) -> None:
    alice = registry.add_identity(ALICE, write)
    checkpoint_dir("alice").mkdir(parents=True)
    (checkpoint_dir("alice") / "state").write_text("x")
    registry.rename("alice", "bob")
    checkpoint_dir("bob").rename(checkpoint_dir("alice"))
    begin(registry, Entry("rename", alice.id, "alice", "bob"))
    Registry.open().close()
    assert (checkpoint_dir("bob") / "state").exists()


def test_an_entry_of_a_process_that_lives_is_left_to_it(registry: Registry) -> None:
    alice = registry.add_identity(ALICE, write)
    with Journal(registry.file).entry(Entry("remove", alice.id, "alice")), Registry.open() as later:
        assert later.list() == [alice]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": "remove", "identity_id": "../../x", "name": "x", "others": []}']
)
def test_an_entry_that_was_cut_off_or_forged_does_nothing(registry: Registry, text: str) -> None:
    alice = registry.add_identity(ALICE, write)
    (paths.home() / "unfinished" / "ab.json").write_text(text)
    with Registry.open() as later:
        assert later.list() == [alice]
    assert not list((paths.home() / "unfinished").iterdir())

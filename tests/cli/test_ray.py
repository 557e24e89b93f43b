"""`--ray`: a real cluster of two nodes, one of which is lost in the middle; and what is said where there is none."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceid_cli.api import rendering_worker
from faceid_cli.registry.store import Registry
from faceid_cli.workers.pool import Place
from tests.cli.batches import CHEAP, lines, pictures, pixels

SPREAD = ("--precision", "float32", "--steps", 2, "--batch", 2)


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Ray cluster of two nodes with a core each, whose workers have a home of their own."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEID_HOME", str(tmp_path_factory.mktemp("home-of-workers")))
        patch.setenv("PYTHONPATH", os.pathsep.join(str(path) for path in sys.path))
        scratch = tempfile.mkdtemp(prefix="r-")  # short, as the names of sockets have to be
        small: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
        (Path(scratch) / "ray").mkdir()
        patch.setenv("RAY_TMPDIR", scratch)
        cluster = Cluster(initialize_head=True, head_node_args=small)
        cluster.second = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
        cluster.home = Path(os.environ["FACEID_HOME"])
    yield cluster
    cluster.shutdown()
    shutil.rmtree(scratch, ignore_errors=True)


class Fragile(rendering_worker.RenderingWorker):
    """Dies once in the middle of its work; the others go on once there is another one in its place."""

    def __init__(self, place: Place, told: rendering_worker.Told) -> None:
        super().__init__(place, told)
        self._home = Path(os.environ["FACEID_HOME"])

    def __call__(self, portion: rendering_worker.Portion) -> rendering_worker.Returned:
        (self._home / f"began-{os.getpid()}").touch()
        if any(each.job.order.prompt == "cup" for each in portion.pictures) and not (self._home / "died").exists():
            (self._home / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        until = time.monotonic() + 120
        while portion.pictures[0].job.index > 12 and begun(self._home) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)
        return super().__call__(portion)


def begun(home: Path) -> int:
    """How many workers have begun to work."""
    return len(list(home.glob("began-*")))


@pytest.mark.slow
def test_nothing_is_missing_or_twice_though_a_worker_is_killed_and_a_node_is_lost(
    faceid, bob, two_nodes, monkeypatch
) -> None:
    import ray

    monkeypatch.setattr("faceid_cli.api.spreading.RenderingWorker", Fragile)
    prompts = ["beach", "cup", *(f"mountains {number}" for number in range(28))]
    Path("p.txt").write_text("\n".join(prompts), encoding="utf-8")

    def lose_node() -> None:
        until = time.monotonic() + 240
        while begun(two_nodes.home) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        two_nodes.remove_node(two_nodes.second)

    losing = threading.Thread(target=lose_node)
    losing.start()
    words = ("batch", "p.txt", "--for", "alice,bob", "--seed", 7, *SPREAD)
    answer = faceid(*words, "-o", "out", "--ray", two_nodes.address, "--json")
    losing.join()
    assert answer.code == 0, answer.err
    assert not ray.is_initialized(), "who joined has left"
    assert "2 workers with 1 core each, on a Ray cluster of 2 machines" in answer.err
    assert answer.err.count("was lost; what it was doing is done again") == 2, "the killed one, and one on the node"
    said = lines(answer)
    assert sorted(line["index"] for line in said[:-1]) == list(range(1, 61)), "each once"
    assert said[-1]["counts"] == {"rendered": 60}
    assert len(pictures()) == 60
    with Registry.open() as registry:
        assert len(registry.renders_of("alice")) == len(registry.renders_of("bob")) == 30
    assert not (two_nodes.home / "registry.db").exists(), "workers need no registry"
    assert faceid(*words, "-o", "here", "--device", "cpu").code == 0
    for name in pictures("here"):
        assert abs(pixels(Path("out") / name) - pixels(Path("here") / name)).max() <= 2, name


@pytest.mark.slow
def test_a_base_model_that_workers_do_not_have_is_one_error(faceid, alice, two_nodes, monkeypatch) -> None:
    monkeypatch.setattr("faceid_cli.api.spreading.RenderingWorker", Astray)
    words = ("generate", "alice", "cup", "--seeds", "1-6", "-o", "out", "--ray", two_nodes.address)
    answer = faceid(*words, *SPREAD, *CHEAP[:2])
    assert answer.code == 1
    assert answer.err.count("error:") == 1
    assert "no base model at /not/there/" in answer.err
    assert "at the same path on all machines" in answer.err
    assert not list(Path("out").glob("*.png"))


@pytest.mark.slow
def test_people_are_learned_on_the_cluster_and_kept_here(faceid, photos, tiny_model_dir, two_nodes) -> None:
    for name in ("ann", "bob"):
        shutil.copytree(photos, Path("people") / name)
    quick = ("--no-detect", "--steps", 2, "--batch", 1, "--model", tiny_model_dir, "--precision", "float32")
    answer = faceid("enroll", "--each", "people", *quick, "--consent", "yes", "--ray", two_nodes.address)
    assert answer.code == 0, answer.err
    assert faceid("list", "-q").out == "ann\nbob\n"
    assert not (two_nodes.home / "registry.db").exists()


class Astray(rendering_worker.RenderingWorker):
    """Looks for base models where there are none."""

    def __call__(self, portion: rendering_worker.Portion) -> rendering_worker.Returned:
        from dataclasses import replace

        pictures = tuple(
            replace(each, opened=replace(each.opened, source=f"/not/there/{Path(each.opened.source).name}"))
            for each in portion.pictures
        )
        return super().__call__(replace(portion, pictures=pictures))


@pytest.mark.slow
def test_without_a_cluster_one_is_started_and_goes_again(faceid, alice, monkeypatch) -> None:
    pytest.importorskip("ray")
    scratch = Path(tempfile.mkdtemp(prefix="s-"))  # the paths of sockets in it have to be short
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    answer = faceid("generate", "alice", "cup", "--seeds", "1-3", "-o", "out", "--ray", "local", *SPREAD)
    assert answer.code == 0, answer.err
    assert "on a Ray cluster of 1 machine" in answer.err
    assert len(pictures()) == 3
    assert not list(scratch.glob("faceid-ray-*")), "faces are in there"


def test_a_cluster_that_does_not_answer_is_told_at_once(faceid, alice) -> None:
    pytest.importorskip("ray")
    began = time.monotonic()
    answer = faceid("generate", "alice", "cup", "--seeds", "1-2", "-o", "out", "--ray", "127.0.0.1:1")
    assert answer.code == 1
    assert "no Ray cluster answers at 127.0.0.1:1: connection refused" in answer.err
    assert time.monotonic() - began < 30


def test_what_is_missing_without_ray_is_said(faceid, alice, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = faceid("generate", "alice", "cup", "--seeds", "1-2", "-o", "out", "--ray")
    assert (answer.code, answer.out) == (2, "")
    assert "--ray needs Ray, which is not installed\n  pip install 'faceid-cli[ray]'" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ray", "ray://head:10001"), "the address of Ray's client"),
        (("--ray=jobs.csv",), "'jobs.csv' is no address of a Ray cluster"),
    ],
)
def test_addresses_that_cannot_be_are_refused(faceid, alice, words, message) -> None:
    answer = faceid("generate", "alice", "cup", "--seeds", "1-2", "-o", "out", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_an_address_may_be_left_out() -> None:
    from faceid_cli.cli.addresses import with_address

    assert with_address(["batch", "--ray", "jobs.csv"]) == ["batch", "--ray=auto", "jobs.csv"]
    assert with_address(["batch", "jobs.csv", "--ray"]) == ["batch", "jobs.csv", "--ray=auto"]
    assert with_address(["batch", "--ray", "head:6379", "x"]) == ["batch", "--ray", "head:6379", "x"]
    assert with_address(["generate", "a", "--", "--ray"]) == ["generate", "a", "--", "--ray"]

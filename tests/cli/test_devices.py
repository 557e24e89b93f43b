"""`--devices`: pictures rendered by processes of this machine, and what becomes of those that are lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from faceid_cli.api import rendering_worker
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.metadata import read_metadata
from faceid_cli.workers.pool import Place
from tests.cli.batches import CHEAP, lines, outside, pictures, pixels

SPREAD = ("--precision", "float32", "--steps", 2, "--batch", 2)


class Stranger(rendering_worker.RenderingWorker):
    """Has another home than the one who sends it work, as on another machine."""

    def __init__(self, place: Place, told: rendering_worker.Told) -> None:
        os.environ["FACEID_HOME"] = str(Path("elsewhere").absolute())
        super().__init__(place, told)


ROWS = (
    "name,prompt,seed,negative,steps\nalice,a cup,3,,\nbob,on the beach,3,old,\nalice,night,9,,3\n"
    "alice+bob,two people,4,,\nalice,mountains,5,,\n"
)


def test_a_process_without_a_registry_renders_the_same_pictures(faceid, bob, monkeypatch) -> None:
    monkeypatch.setattr("faceid_cli.api.spreading.RenderingWorker", Stranger)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as this process has it, or sums would be rounded in another order
    assert faceid("config", "set", "prompt-writer", "Ada").code == 0
    Path("jobs.csv").write_text(ROWS, encoding="utf-8")
    assert faceid("batch", "jobs.csv", "-o", "here", "--device", "cpu", *SPREAD).code == 0
    made = pictures("here")
    answer = faceid("batch", "jobs.csv", "-o", "out", "--devices", "cpu", "--json", *SPREAD)
    assert answer.code == 0, answer.err
    assert "the work goes to 1 process" in answer.err
    assert [line["status"] for line in lines(answer)] == ["rendered"] * 5 + ["done"]
    assert pictures() == made
    for name in made:
        assert (pixels(Path("out") / name) == pixels(Path("here") / name)).all(), name
        there, here = read_metadata(Path("out") / name), read_metadata(Path("here") / name)
        assert there == here, name
        assert there is not None
        assert there.prompt_writer == "Ada"
    with Registry.open() as registry:
        assert len(registry.renders_of("alice")) == 8
    assert not Path("elsewhere/registry.db").exists()


@pytest.mark.slow
def test_several_processes_render_only_what_is_missing(faceid, bob) -> None:
    Path("jobs.csv").write_text(ROWS, encoding="utf-8")
    words = ("batch", "jobs.csv", "-o", "out", "--devices", "cpu,cpu", "--json", *SPREAD)
    first = faceid(*words)
    assert "the work goes to 2 processes" in first.err
    assert [line["status"] for line in lines(first)] == ["rendered"] * 5 + ["done"]
    (Path("out") / pictures()[1]).unlink()
    assert [line["status"] for line in lines(faceid(*words))] == ["there"] * 4 + ["rendered", "done"]


class Fragile(rendering_worker.RenderingWorker):
    """Dies once in the middle of its work, and always over one picture."""

    def __call__(self, portion: rendering_worker.Portion) -> rendering_worker.Returned:
        prompts = [each.job.order.prompt for each in portion.pictures]
        if "poison" in prompts or ("cup" in prompts and not Path("died").exists()):
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(portion)


@pytest.mark.slow
def test_what_lost_processes_held_is_rendered_by_others_and_what_ends_them_fails_alone(
    faceid, alice, monkeypatch
) -> None:
    monkeypatch.setattr("faceid_cli.api.spreading.RenderingWorker", Fragile)
    prompts = ["beach", "cup", "night", "poison", *(f"mountains {number}" for number in range(6))]
    Path("p.txt").write_text("\n".join(prompts), encoding="utf-8")
    words = ("generate", "alice", "--prompts", "p.txt", "-o", "out", "--seed", 3, "--devices", "cpu")
    answer = faceid(*words, "--json", *SPREAD)
    assert answer.code == 1
    said = lines(answer)
    assert sorted(line["index"] for line in said[:-1]) == list(range(1, 11)), "each once"
    assert [line["prompt"] for line in said if line["status"] == "failed"] == ["poison"]
    assert (
        "3 workers were lost over it" in next(line for line in said if line["status"] == "failed")["error"]["message"]
    )
    assert len(pictures()) == 9
    (failed,) = [json.loads(line) for line in Path("out/failed.jsonl").read_text(encoding="utf-8").splitlines()]
    assert failed["prompt"] == "poison"
    assert "3 workers were lost over it" in failed["error"]
    assert "ended by signal 9; what it was doing is done again" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--devices", "cpu,"), "'cpu,' leaves out a device"),
        (("--devices", "gpu"), "unknown device 'gpu'"),
        (("--devices", "cpu", "--device", "cpu"), "--device and --devices each say where"),
        (("--devices", "cpu", "--ray"), "--devices and --ray each say where"),
        (("--workers", 2), "--workers counts those of a Ray cluster"),
    ],
)
def test_where_work_is_done_is_said_once(faceid, alice, words, message) -> None:
    answer = faceid("generate", "alice", "cup", "--seeds", "1-2", "-o", "out", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_auto_is_refused_in_words(faceid, alice) -> None:
    answer = faceid(
        "generate", "alice", "cup", "--seed", 1, "-n", 2, "--auto", "-o", "out", "--devices", "cpu", *CHEAP[2:]
    )
    assert answer.code == 1
    assert "--auto is not for several devices or machines" in answer.err


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_keeps_what_is_finished(faceid, alice) -> None:
    words = ("generate", "alice", "cup", "--seeds", "1-400", "-o", "out", "--devices", "cpu,cpu", "-q", *SPREAD)
    command, environment = outside(*words)
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 240
    while len(list(Path().glob("out/*.png"))) < 3 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the workers, too
    _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert said.count("\n") == 2, said
    assert "error: stopped by Ctrl-C; " in said
    until = time.monotonic() + 30
    while is_there(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_there(process.pid), "nobody is left"
    assert 3 <= len(pictures()) < 400
    assert all(pixels(Path("out") / name).shape == (64, 64, 3) for name in pictures())


def is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_likeness_is_judged_elsewhere_by_what_the_photos_here_show(faceid, monkeypatch) -> None:
    """The worker has neither the registry nor what it says of the photos."""
    monkeypatch.setattr("faceid_cli.api.spreading.RenderingWorker", Stranger)
    assert faceid("samples", "photos").code == 0
    assert faceid("enroll", "carol", "photos", "--steps", 2, "--device", "cpu").code == 0
    words = ("generate", "carol", "at night", "--seeds", "1-2", "--steps", 2, "-o", "out", "--json")
    strict = faceid(*words, "--min-likeness", 0.999, "--tries", 2, "--devices", "cpu")
    assert strict.code == 1, strict.err
    said = lines(strict)
    assert [line["status"] for line in said[:-1]].count("rejected") == 4
    assert [line["status"] for line in said[:-1]].count("failed") == 2
    assert len(pictures("out/rejected")) == 4
    scores = {line["seed"]: line["similarity"] for line in said if line["status"] == "rejected"}
    easy = lines(faceid(*words, "--min-likeness", -1, "--devices", "cpu"))
    assert [line["status"] for line in easy] == ["rendered", "rendered", "done"]
    here = lines(faceid(*words, "--min-likeness", 0.999, "--tries", 1, "--device", "cpu", "--overwrite"))
    assert {line["seed"]: line["similarity"] for line in here if line["status"] == "rejected"}.items() <= scores.items()


def test_one_device_and_several_contradict_each_other(faceid, alice) -> None:
    Path("prompts.txt").write_text("a cup\n", encoding="utf-8")
    both = ("--device", "cpu", "--devices", "cpu,cpu")
    for command in (("batch", "prompts.txt", "--for", "alice"), ("evaluate", "alice"), ("enroll", "--each", ".")):
        answer = faceid(*command, *both)
        assert answer.code == 2
        assert "--device and --devices each say where the work is done" in answer.err

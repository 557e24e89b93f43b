"""Batches that were stopped, however that came, and what is there already."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors.numpy import load_file, save_file

from faceid_cli.registry.store import Registry
from tests.cli.batches import CHEAP, lines, outside, pictures, pixels


def test_the_same_command_again_renders_what_is_missing_and_nothing_twice(faceid, alice) -> None:
    Path("p.txt").write_text("cup\non the beach\ncup\nmountains\n", encoding="utf-8")
    words = ("batch", "p.txt", "--for", "alice", "-o", "out/{name}/{index:03d}-{seed}.png", "--json", *CHEAP)
    first = faceid(*words)
    assert [line["status"] for line in lines(first)] == ["rendered"] * 4 + ["done"]
    assert "the first seed is " in first.err
    made = pictures()
    before = {name: Path("out", name).stat().st_mtime_ns for name in made}
    (Path("out") / made[1]).unlink()
    Path("p.txt").write_text("cup\non the beach\ncup\nmountains\nnight\n", encoding="utf-8")
    second = lines(faceid(*words))
    assert [line["status"] for line in second] == ["there"] * 3 + ["rendered"] * 2 + ["done"]
    now = pictures()
    assert len(now) == 5
    assert all(Path("out", name).stat().st_mtime_ns == at for name, at in before.items() if name != made[1])


def test_what_is_there_is_known_without_the_registry_and_without_the_files_names(faceid, alice, monkeypatch) -> None:
    words = ("generate", "alice", "--prompts", "p.txt", "-o", "out", "--seed", 4, "--json", *CHEAP)
    Path("p.txt").write_text("cup\nnight\n", encoding="utf-8")
    assert faceid(*words).code == 0
    for number, name in enumerate(pictures()):
        (Path("out") / name).rename(Path("out") / f"mine-{number}.png")
    assert [line["status"] for line in lines(faceid(*words))] == ["there", "there", "done"]
    stripped = Path("out/mine-0.png")
    Image.open(stripped).convert("RGB").save(stripped)
    assert [line["status"] for line in lines(faceid(*words))] == ["there", "rendered", "done"]


def test_nothing_is_overwritten_unasked_and_everything_if_asked(faceid, alice) -> None:
    Path("p.txt").write_text("cup\n", encoding="utf-8")
    Path("x.png").write_bytes(b"mine")
    words = ("batch", "p.txt", "--for", "alice", "-o", "x.png", "--seed", 1, "-q", *CHEAP)
    assert faceid(*words).out == "x-2.png\n"
    assert Path("x.png").read_bytes() == b"mine"
    assert faceid(*words).out == "x-2.png\n", "it is there"
    whole = Path("x-2.png").read_bytes()
    Path("x-2.png").write_bytes(whole + b"tail")
    assert faceid(*words, "--overwrite").out == "x-2.png\n"
    assert Path("x-2.png").read_bytes() == whole
    with Registry.open() as registry:
        assert len(registry.renders_of("alice")) == 1


def test_generate_with_a_seed_and_a_folder_goes_on_too(faceid, alice) -> None:
    words = ("generate", "alice", "cup", "--seed", 5, "-o", "out", *CHEAP)
    Path("out").mkdir()
    assert faceid(*words, "-n", 2, "-q").out == "out/alice-1.png\nout/alice-2.png\n"
    answer = faceid(*words, "-n", 3, "--json")
    assert [each["file"] for each in answer.data["renders"]] == [f"out/alice-{number}.png" for number in (1, 2, 3)]
    assert "there already: out/alice-1.png, out/alice-2.png (--overwrite renders again)" in answer.err
    assert [each["seed"] for each in answer.data["renders"]] == [5, 6, 7]
    assert faceid(*words, "-n", 2, "--steps", 1, "-q").out == "out/alice-4.png\nout/alice-5.png\n", "another request"


def test_who_comes_back_from_a_backup_is_the_same(faceid, alice) -> None:
    words = ("generate", "alice", "cup", "--seed", 5, "-o", "out", *CHEAP)
    Path("out").mkdir()
    assert faceid(*words).code == 0
    assert faceid("backup", "all.zip").code == 0
    assert faceid("restore", "all.zip", "--replace").code == 0
    assert "there already: out/alice.png" in faceid(*words).err


def test_another_file_of_the_same_name_makes_another_picture(faceid, alice, tiny_model_dir) -> None:
    shutil.copytree(tiny_model_dir / "vae", "mine")
    words = ("generate", "alice", "cup", "--seed", 5, "-o", "out", "--vae", "mine", *CHEAP)
    Path("out").mkdir()
    Path("p.txt").write_text("night\n", encoding="utf-8")
    rows = ("batch", "p.txt", "--for", "alice", "--seed", 5, "-o", "rows", "--vae", "mine", "--json", *CHEAP)
    for _ in range(2):
        assert faceid(*words, "-q").out == "out/alice.png\n"
        assert lines(faceid(*rows))[-1]["status"] == "done"
    assert lines(faceid(*rows))[0]["status"] == "there"
    weights = Path("mine/diffusion_pytorch_model.safetensors")
    save_file({name: -value for name, value in load_file(weights).items()}, weights)
    assert faceid(*words, "-q").out == "out/alice-2.png\n"
    assert lines(faceid(*rows))[0]["status"] == "rendered"


def test_a_batch_that_is_fitted_makes_the_same_picture(faceid, alice) -> None:
    words = ("generate", "alice", "cup", "--seed", 5, "-o", "out", *CHEAP)
    Path("out").mkdir()
    assert faceid(*words).code == 0
    assert "there already: out/alice.png" in faceid(*words, "--batch", "auto").err


def test_what_failed_is_tried_again(faceid, alice, monkeypatch) -> None:
    from faceid_cli.rendering import passes

    initial_noise, calls = passes.initial_noise, []

    def drawn(base, seed, width, height):
        noise, generator = initial_noise(base, seed, width, height)
        calls.append(seed)
        return (noise * float("nan") if calls.count(8) == 1 and seed == 8 else noise), generator

    monkeypatch.setattr(passes, "initial_noise", drawn)
    words = ("generate", "alice", "cup", "--seeds", "7-9", "-o", "out", *CHEAP)
    assert faceid(*words, "--retries", 1).code == 0
    assert len(pictures()) == 3
    assert (calls.count(7), calls.count(8)) == (1, 2)


def test_a_full_disk_ends_it_with_whole_files_alone(faceid, alice, monkeypatch) -> None:
    import errno

    from faceid_cli.kept import files

    real, written = files._write, []

    def full(path: Path, content: bytes) -> None:
        if path.parent.name == "out":
            written.append(path)
            if len(written) > 2:
                path.write_bytes(content[:100])
                raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)

    monkeypatch.setattr(files, "_write", full)
    words = ("generate", "alice", "cup", "--seeds", "1-6", "-o", "out", "--batch", 2, *CHEAP)
    answer = faceid(*words)
    assert answer.code == 9
    assert "cannot write to out: no space left; 2 pictures of 6 are finished" in answer.err
    assert sorted(path.name for path in Path("out").iterdir()) == pictures()
    assert len(pictures()) == 2
    assert all(pixels(Path("out") / name).size for name in pictures())
    monkeypatch.setattr(files, "_write", real)
    assert faceid(*words).code == 0
    assert len(pictures()) == 6


def test_killed_at_any_moment_it_leaves_whole_files_and_goes_on(alice, faceid) -> None:
    words = ("generate", "alice", "cup", "--seeds", "1-40", "-o", "out", "--batch", 2, "-q", *CHEAP)
    command, environment = outside(*words)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + 240
    while len(list(Path().glob("out/*.png"))) < 3 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = pictures()
    assert 3 <= len(before) < 40
    assert all(pixels(Path("out") / name).shape == (64, 64, 3) for name in before)
    for scratch in Path("out").glob(".faceid-*.tmp"):
        os.utime(scratch, (0, 0))
    answer = faceid(*words, "--json")
    assert answer.code == 0
    statuses = [line["status"] for line in lines(answer)]
    assert statuses.count("there") == len(before)
    assert len(pictures()) == 40
    assert not list(Path("out").glob(".faceid-*"))


def test_ctrl_c_keeps_what_is_finished(alice, faceid, monkeypatch) -> None:
    from faceid_cli.api import mixing

    group, calls = mixing._Group._run, []

    def press(self: Any, batch: Any) -> None:
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        group(self, batch)

    monkeypatch.setattr(mixing._Group, "_run", press)
    answer = faceid("generate", "alice", "cup", "--seeds", "1-6", "-o", "out", "--batch", 2, *CHEAP)
    assert answer.code == 130
    assert answer.out.count("\n") == 2
    assert "stopped by Ctrl-C; 2 pictures of 6 are finished" in answer.err
    assert len(pictures()) == 2


def test_a_batch_that_another_process_renders_is_left_to_it(alice, faceid) -> None:
    words = ("generate", "alice", "cup", "--seeds", "1-60", "-o", "out", "--batch", 1, "-q", *CHEAP)
    command, environment = outside(*words)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is at work
        answer = faceid(*words)
        other = faceid("generate", "alice", "night", "--seeds", "1-2", "-o", "out", "-q", *CHEAP)
        assert process.poll() is None, "it was at work all the time"
        assert answer.code == 1
        assert "another process is rendering these pictures" in answer.err
        assert other.code == 0, "others may be rendered into the same folder"
        process.communicate(timeout=240)
        assert process.returncode == 0
    assert len(pictures()) == 62
    assert faceid(*words).code == 0
    assert len(pictures()) == 62

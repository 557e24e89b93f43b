"""`faceid batch` and `generate --prompts`: what is rendered, streamed, and told of what failed."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceid_cli.orders import RenderOrder
from faceid_cli.orders.option import leaves
from faceid_cli.rendering.metadata import read_metadata
from tests.cli.batches import CHEAP, lines, outside, pictures, pixels


def test_a_picture_of_a_mixed_batch_is_the_one_that_generate_makes(faceid, bob) -> None:
    Path("jobs.csv").write_text(
        "name,prompt,seed,negative,likeness,count\n"
        "alice,a cup,3,,,2\nbob,on the beach,3,old,,\nalice,mountains,9,,0.5,\nalice+bob,two people,4,,,\n",
        encoding="utf-8",
    )
    assert faceid("batch", "jobs.csv", "-o", "out", "--batch", 8, *CHEAP).code == 0
    alone = (
        ("generate", "alice", "a cup", "--seed", 3),
        ("generate", "alice", "a cup", "--seed", 4),
        ("generate", "bob", "on the beach", "--seed", 3, "--negative", "old"),
        ("generate", "alice", "mountains", "--seed", 9, "--likeness", 0.5),
        ("compose", "alice", "bob", "two people", "--seed", 4),
    )
    for words, name in zip(alone, pictures(), strict=True):
        assert faceid(*words, *CHEAP, "-o", "alone.png", "--overwrite").code == 0
        difference = np.abs(pixels(Path("out") / name) - pixels("alone.png"))
        assert difference.max() <= 2, name
        assert (difference == 0).mean() > 0.99, name
        batch, single = read_metadata(Path("out") / name), read_metadata(Path("alone.png"))
        assert batch is not None
        assert single is not None
        together = 4 if len(single.names) == 1 else 1  # who has a region brings a text of their own
        assert len(batch.batch) == together, name  # which may round otherwise, and is said for a replay
        assert replace(batch, batch=single.batch, pixels=single.pixels) == single, name


def test_pictures_that_are_sampled_alike_share_a_batch_and_others_do_not(faceid, bob, monkeypatch) -> None:
    from faceid_cli.rendering.plan import Plan

    run, sizes = Plan.run, []

    def counted(plan: Plan, base: Any, contexts: Any, stages: int, seeds: Any, *rest: Any) -> Any:
        sizes.append((plan.config.steps, len(seeds)))
        return run(plan, base, contexts, stages, seeds, *rest)

    monkeypatch.setattr(Plan, "run", counted)
    rows = [{"prompt": f"cup {number}", "steps": 1 + number % 2} for number in range(6)]
    Path("jobs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert faceid("batch", "jobs.jsonl", "--for", "alice,alice", "-o", "out", "--device", "cpu").code == 0
    assert sorted(sizes) == [(1, 2), (1, 4), (2, 2), (2, 4)]


def test_every_option_may_stand_in_a_row(faceid, alice) -> None:
    """What a row says arrives in the picture, whatever the field."""
    row = {
        "name": "alice",
        "prompt": "cup",
        "steps": 3,
        "guidance": "3",
        "size": "72x80",
        "in-stages": "2-5",
        "seed": 5,
    }
    row |= {"negative": "old", "clip_skip": 1, "scheduler": "Euler a", "hires": 1.5, "hires-strength": 0.4}
    Path("jobs.yaml").write_text(json.dumps([row]), encoding="utf-8")
    assert faceid("batch", "jobs.yaml", "-o", "x.png", "--device", "cpu").code == 0
    found = read_metadata(Path("x.png"))
    assert found is not None
    assert (found.steps, found.guidance_scale, found.width, found.height, found.stages) == (3, 3, 72, 80, (2, 3, 4, 5))
    assert (found.negative_prompt, found.clip_skip, found.scheduler, found.hires) == ("old", 1, "euler-a", 1.5)
    assert found.seed == 5
    help_text = faceid("batch", "--help").out
    for name, (asked, _, _) in leaves(RenderOrder).items():
        if asked.flags and name not in ("names", "prompt"):
            assert asked.flags[0] in help_text


def test_a_bad_row_says_file_line_and_field_and_the_others_go_on(faceid, alice) -> None:
    Path("jobs.csv").write_text(
        "name,prompt,steps,seed\nalice,cup,many,1\nnobody,cup,1,1\nalice,cup,1,1\n", encoding="utf-8"
    )
    answer = faceid("batch", "jobs.csv", "-o", "out", "-q")
    assert (answer.code, answer.out) == (1, "out/00002-alice-1.png\n")
    assert "error: jobs.csv, line 2, steps: 'many' is no whole number" in answer.err
    assert "error: jobs.csv, line 3: no identity is called 'nobody'" in answer.err
    assert (
        "error: 2 of 3 pictures failed\n  their rows are in out/failed.jsonl: faceid batch out/failed.jsonl"
        in answer.err
    )


def test_failed_rows_can_be_given_again(faceid, bob, add_person) -> None:
    Path("jobs.csv").write_text("name,prompt,likeness\ncarol,on the beach,0.7\nalice,cup,\n", encoding="utf-8")
    assert faceid("batch", "jobs.csv", "-o", "out", *CHEAP).code == 1
    (failed,) = [json.loads(line) for line in Path("out/failed.jsonl").read_text().splitlines()]
    assert "no identity is called 'carol'" in failed["error"]
    assert faceid("rename", "bob", "carol").code == 0
    again = faceid("batch", "out/failed.jsonl", "-o", "out", "--json")
    assert again.code == 0, again.err
    assert lines(again)[0]["file"] == failed["output"]
    assert read_metadata(Path(failed["output"])).likeness == 0.7
    assert not Path("out/failed.jsonl").exists(), "nothing is left that failed"
    both = faceid("batch", "jobs.csv", "-o", "out", *CHEAP, "--json")
    assert len(pictures()) == 2
    assert [line["status"] for line in lines(both)] == ["there", "there", "done"]


def test_rows_that_could_not_be_read_are_given_again_with_what_all_rows_say(faceid, alice) -> None:
    """Only what is wrong has to be mended."""
    common = ("--steps", 1, "--guidance-scale", 2, "--size", "64x64", "--device", "cpu", "--likeness", "alice=0.5")
    rows = ({"prompt": "cup", "seed": "abc", "scheduler": "euler"}, {"prompt": "night", "seed": 2, "guidance": "x"})
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "no JSON\n")
    answer = faceid("batch", "rows.jsonl", "--for", "alice", *common, "-o", "out/{name}-{seed}.png")
    assert "3 of 3 pictures failed\n  those of their rows that say anything are in out/failed.jsonl" in answer.err
    Path("mended.jsonl").write_text(
        Path("out/failed.jsonl").read_text().replace('"abc"', "1").replace('"guidance": "x"', '"guidance": 3')
    )
    answer = faceid("batch", "mended.jsonl", "-q")
    assert answer.code == 0, answer.err
    first, second = (read_metadata(Path(line)) for line in answer.out.splitlines())
    assert pictures() == ["alice-1.png", "alice-2.png"]
    for made, seed, guidance in ((first, 1, 2), (second, 2, 3)):
        assert (made.seed, made.steps, made.guidance_scale, made.width) == (seed, 1, guidance, 64)
        assert made.likeness_of == ("alice=0.5",)
    assert first.scheduler == "euler"


def test_rows_of_yaml_fail_alone_whatever_they_hold(faceid, alice) -> None:
    odd = ("2020-01-01", "{2020-01-01: 1}", "!!binary aGVsbG8=", "!!set {a}", ".inf")
    Path("jobs.yaml").write_text("".join(f"- {{prompt: cup, steps: {each}}}\n" for each in odd), encoding="utf-8")
    answer = faceid("batch", "jobs.yaml", "--for", "alice", "-o", "out")
    assert answer.code == 1
    assert answer.err.count("is no whole number") == len(odd)
    failed = [json.loads(line) for line in Path("out/failed.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["prompt"] for row in failed] == ["cup"] * len(odd)
    assert failed[0]["steps"] == "2020-01-01"


def test_dry_run_says_what_would_be_done_and_does_nothing(faceid, alice) -> None:
    Path("p.txt").write_text("cup\n", encoding="utf-8")
    words = ("batch", "p.txt", "--for", "alice", "--seeds", "1-3", "-o", "out")
    answer = faceid(*words, "--dry-run")
    assert answer.code == 0
    assert answer.out.splitlines()[0] == "out/00001-alice-1.png  alice  seed 1  cup"
    assert "3 pictures to render; how long that takes is not known yet" in answer.err
    assert not Path("out").exists()
    assert faceid(*words, *CHEAP).code == 0
    after = faceid(*words, "--dry-run", *CHEAP)
    assert after.out.count("there already") == 3
    more = faceid("batch", "p.txt", "--for", "alice", "--seeds", "1-4", "-o", "out", *CHEAP, "--dry-run")
    assert "1 picture to render, about " in more.err


def test_a_grid_has_a_sheet(faceid, alice) -> None:
    words = ("generate", "alice", "cup", "--seed", 1, "--device", "cpu", "--grid", "guidance=1,5", "steps=1,2,3")
    answer = faceid(*words, "-o", "out")
    assert answer.code == 0, answer.err
    assert pictures() == [*(f"0000{number}-alice-1.png" for number in range(1, 7)), "grid-00001.png"]
    with Image.open("out/grid-00001.png") as sheet:
        assert sheet.width > 3 * 64
        assert sheet.height > 2 * 64
    assert [read_metadata(Path(f"out/0000{number}-alice-1.png")).steps for number in range(1, 7)] == [1, 2, 3, 1, 2, 3]
    assert "the grid is out/grid-00001.png" in answer.err
    faceid(*words, "-o", "out")
    assert len(pictures()) == 7, "nothing new, no other sheet"


def test_people_come_from_tags_and_all(faceid, bob) -> None:
    Path("p.txt").write_text("{name} at night\n", encoding="utf-8")
    everybody = faceid("batch", "p.txt", "--all", "--dry-run", "-q", "--seed", 1)
    assert everybody.out == "00001-alice-1.png\n00002-bob-1.png\n"
    assert faceid("batch", "p.txt", "--tag", "test", "--dry-run", "-q", "--seed", 1).out.count("\n") == 2
    nobody = faceid("batch", "p.txt", "--tag", "nothing", "--dry-run")
    assert (nobody.code, "nobody has the tag nothing" in nobody.err) == (2, True)
    assert faceid("batch", "p.txt", "--all", "--tag", "test").code == 2
    both = faceid("batch", "p.txt", "--for", "alice+bob", "--dry-run")
    assert both.code == 1
    assert "p.txt, line 1: the prompt marks {name}" in both.err


def test_prompts_come_from_a_pipe(alice, faceid) -> None:
    command, environment = outside("generate", "alice", "--prompts", "-", "-o", "out", "--seed", 3, "-q", *CHEAP)
    done = subprocess.run(command, env=environment, input="cup\nnight\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["out/00001-alice-3.png", "out/00002-alice-3.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("batch", "nothing.txt"), "cannot read nothing.txt: no such file or directory"),
        (("batch", "p.txt", "-o", "{sed}.png"), "nothing is filled in for {sed}"),
        (("batch", "p.txt", "--grid", "setps=1,2"), "--grid setps: there is no such option"),
        (("batch", "p.txt", "steps=1,2"), "unexpected argument 'steps=1,2'"),
        (("batch", "p.txt", "--seeds", "x"), "'x' names no seeds"),
        (("generate", "alice"), "missing argument 'PROMPT'"),
        (("generate", "alice", "x", "--prompts", "p.txt"), "give either PROMPT or --prompts FILE"),
        (("generate", "alice", "x", "--wildcards", "hats"), "--wildcards hats: there is no such folder"),
        (("batch", "p.txt", "--for", "alice", "--wildcards", "p.txt"), "--wildcards p.txt: there is no such folder"),
        (("generate", "alice", "x", "--rows-format", "csv"), "--rows-format says what a file of rows is"),
        (("batch", "p.txt", "--for", "alice", "--grid", "steps=2,3", "steps=4"), "of the grid set the same"),
        (("generate", "alice", "x", "--seeds", "1-2", "--seed", 3), "seeds: each picture has one of these seeds"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(faceid, alice, words, message) -> None:
    Path("p.txt").write_text("cup\n", encoding="utf-8")
    answer = faceid(*words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert [path.name for path in Path().iterdir()] == ["p.txt"]


def test_variants_of_prompts_that_have_none_are_told_to_change_nothing(faceid, alice) -> None:
    Path("p.txt").write_text("cup\n{red|blue} hat\n", encoding="utf-8")
    words = ("--dry-run", "--variants", 2, "--seed", 1)
    assert "--variants changes nothing" in faceid("generate", "alice", "cup", *words).err
    assert "--variants changes nothing" not in faceid("generate", "alice", "{red|blue} cup", *words).err
    assert "--variants changes nothing" not in faceid("batch", "p.txt", "--for", "alice", *words).err


def test_people_of_rows_are_not_those_of_the_command(faceid, bob) -> None:
    Path("jobs.csv").write_text("name,prompt\nbob,cup\n,night\n", encoding="utf-8")
    answer = faceid("generate", "alice", "--prompts", "jobs.csv", "--dry-run", "--json")
    assert [line["names"] for line in lines(answer)] == [["bob"], ["alice"]]
    assert "a row that names people is theirs" in " ".join(faceid("generate", "--help").out.split())


def test_a_layout_that_does_not_fit_is_known_before_anything_is_rendered(faceid, alice) -> None:
    Path("p.txt").write_text("cup\n<alice> and a man\n", encoding="utf-8")
    answer = faceid("batch", "p.txt", "--for", "alice", "--layout", "left-right", "--dry-run")
    assert answer.code == 1
    assert "p.txt, line 1: the prompt has nobody but alice" in answer.err
    assert "1 picture to render" in answer.err


def test_errors_are_json_too(faceid, alice) -> None:
    (stopped,) = lines(faceid("batch", "nothing.txt", "--json"))
    assert (stopped["status"], stopped["error"]["exit_code"]) == ("stopped", 2)
    Path("p.csv").write_text("prompt,steps\ncup,x\n", encoding="utf-8")
    failed, done = lines(faceid("batch", "p.csv", "--for", "alice", "--json"))
    assert (failed["status"], failed["line"], failed["error"]["field"]) == ("failed", 2, "steps")
    assert (done["status"], done["counts"]) == ("done", {"failed": 1})


def test_the_first_failure_ends_all_if_asked(faceid, alice) -> None:
    Path("p.csv").write_text("prompt,steps\ncup,x\ncup,1\n", encoding="utf-8")
    answer = faceid("batch", "p.csv", "--for", "alice", "-o", "out", "--fail-fast")
    assert (answer.code, answer.err.count("error:")) == (2, 1)
    assert pictures() == []


def test_people_of_different_base_models_are_rendered_in_groups_or_refused_together(
    faceid, alice, photos, tmp_path, tiny_model_dir, quick
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_model_dir, other)
    weights = other / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert faceid("enroll", "dora", photos, "--model", other, *quick).code == 0
    Path("p.txt").write_text("cup\nnight\n", encoding="utf-8")
    assert faceid("batch", "p.txt", "--for", "alice,dora", "-o", "out", "--seed", 1, *CHEAP).code == 0
    models = [read_metadata(Path("out") / name).base_model for name in pictures()]
    assert models == [tiny_model_dir.name, "other"] * 2
    together = faceid("batch", "p.txt", "--for", "alice+dora", "-o", "out", *CHEAP)
    assert together.code == 1
    assert "p.txt, line 1: alice was learned on" in together.err

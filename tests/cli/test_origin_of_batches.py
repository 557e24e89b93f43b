"""Pictures of a batch say what those of `generate` say: their kind, record, mark and signature; and can be replayed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from faceid_cli.rendering.metadata import read_metadata

CHEAP = ("--device", "cpu", "--precision", "float32", "--steps", 2)


@pytest.fixture
def prompts(alice) -> str:
    """A file with two prompts."""
    Path("prompts.txt").write_text("a cup\non the beach\n", encoding="utf-8")
    return "prompts.txt"


def render(faceid, *more: object) -> list[Path]:
    answer = faceid("batch", "prompts.txt", "--for", "alice", "--seeds", 3, "-o", "out", *CHEAP, *more)
    assert answer.code == 0, answer.err
    return sorted(Path("out").iterdir())


def test_a_picture_of_a_batch_can_be_replayed(faceid, prompts) -> None:
    for picture in render(faceid, "--batch", 1):
        answer = faceid("replay", picture, "--json")
        assert (answer.data["equal"], answer.data["differences"]) == (True, [])


def test_a_picture_of_a_mixed_batch_says_that_it_was_made_with_others(faceid, prompts) -> None:
    first, _ = render(faceid, "--batch", 2)
    metadata = read_metadata(first)
    assert metadata is not None
    assert (metadata.batch, len(metadata.pixels)) == ((3, 3), 64)
    answer = faceid("replay", first, "--json").data
    assert answer["equal"] or "it was rendered together with 1 more, which rounds differently" in answer["differences"]


def test_seeds_of_one_prompt_are_replayed_together(faceid, alice) -> None:
    Path("one.txt").write_text("a cup\n", encoding="utf-8")
    assert faceid("batch", "one.txt", "--for", "alice", "--seeds", "3-5", "-o", "out", "--batch", 3, *CHEAP).code == 0
    picture = next(iter(sorted(Path("out").iterdir())))
    metadata = read_metadata(picture)
    assert metadata is not None
    assert metadata.batch == (3, 4, 5)
    assert faceid("replay", picture, "--json").data["equal"] is True


@pytest.mark.parametrize(("kind", "suffix"), [("jpeg", ".jpg"), ("webp", ".webp")])
def test_the_kind_of_file_may_be_chosen_and_is_known_again(faceid, prompts, kind, suffix) -> None:
    made = render(faceid, "--format", kind)
    assert [path.suffix for path in made] == [suffix] * 2
    with Image.open(made[0]) as image:
        assert image.format == kind.upper()
    metadata = read_metadata(made[0])
    assert metadata is not None
    assert metadata.prompt == "a photo of <alice>, a cup"
    assert render(faceid, "--format", kind) == made
    assert len(render(faceid)) == 4  # another kind is another picture


def test_a_row_may_have_another_kind_and_no_metadata(faceid, alice) -> None:
    rows = [{"prompt": "a cup", "format": "webp"}, {"prompt": "a cup", "metadata": False}]
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    command = ("batch", "rows.jsonl", "--for", "alice", "--seeds", 3, "-o", "out", *CHEAP)
    assert faceid(*command).code == 0
    first, second = sorted(Path("out").iterdir())
    assert (first.suffix, second.suffix) == (".webp", ".png")
    assert read_metadata(first) is not None
    assert read_metadata(second) is None
    assert faceid(*command, "--json").out.count('"status": "there"') == 2
    assert sorted(Path("out").iterdir()) == [first, second]


@pytest.mark.parametrize("fail_fast", [False, True])
def test_words_that_do_not_fit_into_a_file_fail_that_picture_alone(faceid, alice, fail_fast) -> None:
    long = {"prompt": "a cup", "negative": "old" + " " * 70_000}
    rows = [long, *({"prompt": "a cup", "steps": steps} for steps in (2, 3))]
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    command = ("batch", "rows.jsonl", "--for", "alice", "--seeds", 3, "-o", "out", "--batch", 1, *CHEAP)
    answer = faceid(*command, "--format", "jpeg", *(("--fail-fast",) if fail_fast else ()))
    told = "error: rows.jsonl, line 1: prompt and settings are too long for a jpeg file\n"
    assert answer.err.count(told) == 1
    if fail_fast:
        assert answer.code == 2
        return
    assert answer.code == 1
    assert len(list(Path("out").glob("*.jpg"))) == 2
    (failed,) = Path("out/failed.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(failed)["negative_prompt"] == long["negative"]


def test_pictures_are_signed_and_marked(faceid, prompts) -> None:
    pytest.importorskip("c2pa")
    assert faceid("config", "set", "provenance", "on").code == 0
    first, _ = render(faceid, "--size", "96x96")
    overwritten = render(faceid, "--size", "96x96", "--overwrite")[0]
    assert overwritten == first
    (found,) = faceid("info", first, "--json").data["pictures"]
    assert (found["credentials"]["state"], found["watermark"], found["ai"]) == ("valid", "faceid", True)


def test_requests_over_a_pipe_are_signed_too(faceid, alice, monkeypatch) -> None:
    pytest.importorskip("c2pa")
    import io
    import sys

    assert faceid("config", "set", "provenance", "on").code == 0
    request = json.dumps({"name": "alice", "prompt": "a cup", "seed": 3, "format": "jpeg"})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{request}\n".encode())))
    answer = faceid("serve", "--stdio", "-o", "out", *CHEAP)
    assert answer.code == 0, answer.err
    (picture,) = Path("out").iterdir()
    (found,) = faceid("info", picture, "--json").data["pictures"]
    assert (picture.suffix, found["credentials"]["state"]) == (".jpg", "valid")


def test_what_a_file_says_does_not_steer_the_terminal(faceid, alice) -> None:
    Path("sly.txt").write_text("a cup \x1b]0;owned\x07\u202e\n", encoding="utf-8")
    answer = faceid("batch", "sly.txt", "--for", "alice", "--dry-run")
    assert not set(answer.out + answer.err) & set("\x1b\x07\u202e")

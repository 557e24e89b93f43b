"""Pictures that go to places that are no folders: `memory://`, and `file://`, which is one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

from faceid_cli.registry.store import Registry
from tests.cli.batches import CHEAP, lines, pictures


@pytest.fixture
def memory() -> Iterator[Any]:
    """The files in memory, none at first."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def names(system: Any) -> list[str]:
    return sorted(name.removeprefix("/") for name in system.store)


def test_pictures_go_elsewhere_and_only_what_is_missing_is_rendered_again(faceid, alice, memory) -> None:
    Path("p.txt").write_text("cup\nnight\nmountains\n", encoding="utf-8")
    words = ("batch", "p.txt", "--for", "alice", "--seed", 3, "-o", "memory://shop/{name}/{index:02d}.png", *CHEAP)
    first = faceid(*words, "-q")
    assert first.code == 0, first.err
    made = [f"memory://shop/alice/0{number}.png" for number in (1, 2, 3)]
    assert first.out.splitlines() == made
    assert names(memory) == [name.removeprefix("memory://") for name in made]
    with Image.open(io.BytesIO(memory.cat_file("/shop/alice/01.png"))) as image:
        assert image.size == (64, 64)
        assert json.loads(image.text["faceid"])["prompt"] == "a photo of <alice>, cup"
    memory.rm_file("/shop/alice/02.png")
    again = lines(faceid(*words, "--json"))
    assert [line["status"] for line in again] == ["there", "there", "rendered", "done"]
    assert again[2]["file"] == made[1]
    with Registry.open() as registry:
        assert len(registry.renders_of("alice")) == 4
    assert not Path("memory:").exists()


def test_what_is_there_is_known_without_the_registry(faceid, alice, memory, monkeypatch) -> None:
    words = ("generate", "alice", "cup", "--seeds", "1-3", "-o", "memory://shop", *CHEAP)
    assert faceid(*words).code == 0
    with Registry.open() as registry:
        from faceid_cli.registry.requests import forget_pictures

        for each in registry.renders_of("alice"):
            forget_pictures(registry, each.render.path)
    assert [line["status"] for line in lines(faceid(*words, "--json"))] == ["there"] * 3 + ["done"]
    memory.pipe_file("/shop/00001-alice-1.png", b"mine")
    taken = faceid(*words, "-q")
    assert "memory://shop/00001-alice-1-2.png" in taken.out, "nothing is overwritten"
    assert memory.cat_file("/shop/00001-alice-1.png") == b"mine"


def test_failed_rows_grids_and_overwriting_work_there_too(faceid, alice, memory) -> None:
    Path("p.csv").write_text("prompt,steps,seed\ncup,x,1\nnight,1,1\n", encoding="utf-8")
    words = ("batch", "p.csv", "--for", "alice", "-o", "memory://shop", "--device", "cpu")
    answer = faceid(*words)
    assert answer.code == 1
    assert "their rows are in memory://shop/failed.jsonl: faceid batch memory://shop/failed.jsonl" in answer.err
    assert json.loads(memory.cat_file("/shop/failed.jsonl"))["prompt"] == "cup"
    assert "line 1, steps" in faceid("batch", "memory://shop/failed.jsonl", "-o", "memory://shop").err
    Path("p.csv").write_text("prompt,steps,seed\ncup,1,1\nnight,1,1\n", encoding="utf-8")
    assert faceid(*words).code == 0
    assert "shop/failed.jsonl" not in names(memory)
    before = memory.cat_file("/shop/00001-alice-1.png")
    memory.pipe_file("/shop/00001-alice-1.png", before + b"tail")
    assert faceid(*words, "--overwrite").code == 0
    assert not memory.cat_file("/shop/00001-alice-1.png").endswith(b"tail")
    grid = faceid(
        "generate", "alice", "cup", "--seed", 1, "--device", "cpu", "--grid", "steps=1,2", "-o", "memory://grid"
    )
    assert "the grid is memory://grid/grid-00001.png" in grid.err


def test_a_file_address_is_a_folder(faceid, alice) -> None:
    where = Path("out").absolute().as_uri()
    assert faceid("generate", "alice", "cup", "--seeds", "1-2", "-o", where, "-q", *CHEAP).code == 0
    assert pictures() == ["00001-alice-1.png", "00002-alice-2.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--seeds", "1-2", "-o", "nowhere://x"), "nothing is known of nowhere://"),
        (("-o", "memory://x/a.png"), "only pictures of many go to other places than folders"),
        (("--seeds", "1-2", "-o", "memory://x/a.bmp"), "cannot write memory://x/a.bmp"),
    ],
)
def test_addresses_that_cannot_be_are_refused(faceid, alice, memory, words, message) -> None:
    answer = faceid("generate", "alice", "cup", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert list(Path().iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_error(faceid, alice, memory, monkeypatch) -> None:
    def refused(self: Any, path: str, value: bytes, **more: Any) -> None:
        raise RuntimeError("AccessDenied")

    monkeypatch.setattr(type(memory), "pipe_file", refused)
    answer = faceid("generate", "alice", "cup", "--seeds", "1-3", "-o", "memory://shop", *CHEAP)
    assert answer.code == 9
    assert "cannot write memory://shop/00001-alice-1.png: RuntimeError: AccessDenied" in answer.err
    assert "0 pictures of 3 are finished" in answer.err

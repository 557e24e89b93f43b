"""People times prompts times options times seeds; variants; names of files."""

from pathlib import Path
from typing import Any

import pytest

from faceid_cli.errors import UsageError
from faceid_cli.jobs.expand import BadRow, Expansion, Job
from faceid_cli.jobs.grid import read_axes
from faceid_cli.jobs.naming import slug_of, template_of
from faceid_cli.jobs.requests import request_of
from faceid_cli.jobs.rows import Place, Row
from faceid_cli.jobs.variants import variants_of
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.batching import BatchOrder, read_seeds


def expand(*rows: dict[str, Any], people: str = "alice", common: Any = None, **batch: Any) -> list[Job | BadRow]:
    names = [(name,) for name in people.split(",") if name]
    order = BatchOrder(**batch)
    made = Expansion(order, common or {}, names, template_of("out"), 100)
    return list(made.jobs([Row(Place("rows", number), row) for number, row in enumerate(rows, 1)]))


def test_people_times_prompts_times_grid_times_seeds() -> None:
    jobs = expand(
        {"prompt": "a {red|blue} cup"},
        {"prompt": "b"},
        people="alice,bob",
        common={"seeds": (5, 6)},
        grid=("guidance=5,7 steps=2,3",),
    )
    assert len(jobs) == 3 * 2 * 4 * 2
    found = {(j.order.names, j.order.prompt, j.order.config.guidance_scale, j.order.config.steps, j.seed) for j in jobs}
    assert len(found) == len(jobs)
    assert [job.index for job in jobs] == list(range(1, len(jobs) + 1))
    sheets: dict[int, set[Any]] = {}
    for job in jobs:
        sheets.setdefault(job.sheet, set()).add((job.order.names, job.order.prompt, job.seed))
    assert all(len(each) == 1 for each in sheets.values())
    assert len(sheets) == 12


def test_seeds_that_nobody_asked_for_differ_between_rows_and_not_between_people() -> None:
    jobs = expand({"prompt": "a"}, {"prompt": "b", "count": 2}, people="alice,bob")
    assert [(job.order.names[0], job.order.prompt, job.seed) for job in jobs] == [
        ("alice", "a", 100),
        ("bob", "a", 100),
        ("alice", "b", 101),
        ("alice", "b", 102),
        ("bob", "b", 101),
        ("bob", "b", 102),
    ]
    assert all(job.is_drawn for job in jobs)


def test_a_row_says_more_than_the_command_line() -> None:
    first, second = expand({"prompt": "a", "steps": "7"}, {"prompt": "b", "seed": 3}, common={"steps": 2, "seed": 9})
    assert (first.order.config.steps, first.seed) == (7, 9)
    assert (second.order.config.steps, second.seed) == (2, 3)


def test_rows_that_name_people_stay_theirs() -> None:
    jobs = expand({"prompt": "a", "name": "carol"}, {"prompt": "b", "name": "alice+bob"}, people="dora,emil")
    assert [job.order.names for job in jobs] == [("carol",), ("alice", "bob")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"steps": 3}, "rows, line 1, prompt: is missing"),
        ({"prompt": "a", "name": "a+b", "auto": True}, "rows, line 1, auto: is for pictures of one person"),
        ({"prompt": "a", "mask": "m.png"}, "rows, line 1: a mask needs a picture"),
        ({"prompt": "{a|b"}, "rows, line 1, prompt: the variants of"),
        ({"prompt": "__hats__"}, "rows, line 1, prompt: __hats__ stands for nothing"),
        ({"prompt": "a", "seeds": "1-2", "count": 2}, "rows, line 1, seeds: "),
        ({"prompt": "a", "output": "{nothing}.png"}, "rows, line 1: nothing is filled in for {nothing}"),
    ],
)
def test_a_row_that_cannot_be_says_where_and_the_next_one_goes_on(row, message) -> None:
    bad, good = expand(row, {"prompt": "fine"})
    assert isinstance(bad, BadRow)
    assert bad.error.message.startswith(message)
    assert isinstance(good, Job)
    assert good.index == 1


@pytest.mark.parametrize("label", ["seed", "Seed", "--seed", "seeds", "coun", "output", "request", "error"])
def test_what_is_said_apart_is_no_side_of_a_grid_by_whatever_name(label) -> None:
    with pytest.raises(UsageError, match="is no side of a grid"):
        read_axes([f"{label}=1,2"])


@pytest.mark.parametrize(
    "sides", ["steps=2,3 steps=4,5", "guidance=3,5 guidance-scale=7", "size=512x512,640x640 width=512,640"]
)
def test_sides_of_a_grid_that_set_the_same_are_refused(sides) -> None:
    first, second = (side.partition("=")[0] for side in sides.split())
    for texts in ([sides], sides.split()):
        with pytest.raises(UsageError, match=f"the sides {first} and {second} of the grid set the same"):
            read_axes(texts)


def test_without_anybody_a_row_says_what_is_missing() -> None:
    (bad,) = expand({"prompt": "a"}, people="")
    assert isinstance(bad, BadRow)
    assert bad.error.message == "rows, line 1, name: nobody is named"


def test_variants_come_from_words_and_from_files(tmp_path) -> None:
    (tmp_path / "hats.txt").write_text("# of a kind\ncrown\nred hat\n", encoding="utf-8")
    assert variants_of("{name} with a __hats__ {at night|}", tmp_path, None, 0) == [
        "<name> with a crown at night",
        "<name> with a crown ",
        "<name> with a red hat at night",
        "<name> with a red hat ",
    ]
    plain = "<alice> (smiling:1.2), {bob}, 100 % [a], a_b"
    assert variants_of(plain, tmp_path, None, 0) == [plain]
    some = variants_of("{a|b|c|d|e|f} {g|h|i|j}", None, 3, 7)
    assert (len(some), some) == (3, variants_of("{a|b|c|d|e|f} {g|h|i|j}", None, 3, 7))


def test_files_of_variants_are_utf_8_with_or_without_a_mark(tmp_path) -> None:
    (tmp_path / "hats.txt").write_text("\ufeffred\r\ncafé\r\n", encoding="utf-8", newline="")
    (tmp_path / "colours.txt").write_bytes("café\n".encode("latin1"))
    (tmp_path / "both.txt").write_text("__hats__\n__colours__\n", encoding="utf-8")
    (tmp_path / "lost.txt").write_text("a __shoes__\n", encoding="utf-8")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "coats.v1.txt").write_text("fur\n", encoding="utf-8")
    assert sorted(variants_of("__hats__ __deep/coats.v1__", tmp_path, None, 0)) == ["café fur", "red fur"]
    for count in (None, 20):
        for prompt in ("a __colours__", "a __both__", "a __c*__"):
            with pytest.raises(UsageError, match=r"colours.txt is not UTF-8 \(byte 4\)") as raised:
                variants_of(prompt, tmp_path, count, 0)
            assert "iconv" in (raised.value.hint or "")
        with pytest.raises(UsageError, match="__shoes__ stands for nothing"):
            variants_of("a __lost__", tmp_path, count, 0)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("out", "out/00007-alice-3.png"),
        ("{name}/{index:03d}-{seed}-{slug}.png", "alice/007-3-a-castle-at-night.png"),
        ("out/{steps}-{guidance_scale}-{line}.png", "out/20-5-1.png"),
        ("{name}", "alice/00007-alice-3.png"),
        ("x.png", "x.png"),
        ("a{{b}}-{seed}.png", "a{b}-3.png"),
    ],
)
def test_names_are_filled_in(output, name) -> None:
    order = RenderOrder.of(names=("alice",), prompt="<alice>, A castle, at night!", steps=20, guidance_scale=5)
    assert Job(order, 3, False, 7, Place("rows", 1), template_of(output)).path == Path(name)


@pytest.mark.parametrize(
    "output", ["{seeed}.png", "{seed.real}.png", "{seed[0]}.png", "{seed:q}.png", "{seed.png", "{}.png", "{seed}.gif"]
)
def test_templates_that_cannot_be_read_are_refused(output) -> None:
    with pytest.raises(UsageError):
        template_of(output)


def test_slugs_are_short_and_safe() -> None:
    assert slug_of("../../etc, {name} <alice> Café & 日本!") == "etc-café-日本"
    assert len(slug_of("word " * 100)) <= 40
    assert slug_of("<alice>") == "picture"


@pytest.mark.parametrize("text", ["", "a", "5-1", "1,,2", "-1", "0-4294967296", "0-1000000"])
def test_what_is_no_seeds_is_refused(text) -> None:
    with pytest.raises(UsageError):
        read_seeds(text)


def test_what_changes_a_picture_changes_its_hash_and_what_does_not_does_not() -> None:
    def hashed(seed: int | None = 1, prompt: str = "a", **options: Any) -> str:
        order = RenderOrder.of(names=("alice",), prompt="a", **options)
        return request_of(order, prompt, ["id"], "sd1:0", {}, seed)

    same = [hashed(), hashed(batch_size=2), hashed(device="cpu"), hashed(output="x"), hashed(count=3), hashed(tries=2)]
    assert len(set(same)) == 1
    others = [
        hashed(2),
        hashed(None),
        hashed(prompt="b"),
        hashed(steps=3),
        hashed(auto=True),
        hashed(min_likeness="0.5"),
    ]
    assert len({*same, *others}) == 1 + len(others)


def test_a_row_that_asks_for_too_many_pictures_is_refused_before_they_are_made() -> None:
    refused, good = expand({"prompt": "a", "count": 1_000_000_000}, {"prompt": "b"})
    assert isinstance(refused, BadRow)
    assert "count: 1000000000 is more than 1000000" in str(refused.error)
    assert isinstance(good, Job)

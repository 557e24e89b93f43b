"""Prompts that change along the way: each call of the denoiser gets its stage's word, as AUTOMATIC1111 reads them."""

from __future__ import annotations

import re

import pytest

from faceid_cli.errors import UsageError
from faceid_cli.export.embeddings import edited_word
from faceid_cli.export.schedules import parse_sampler

STEMS = tuple(f"w{number}" for number in range(1, 6))


def word_at(text: str, call: int) -> str:
    """What the web UI writes at a call: `[a:b:n]` is a up to and including call n, where n is not 0."""
    while found := re.search(r"\[([^\[\]:]*):([^\[\]:]*):(\d+)\]", text):
        before, after, when = found[1], found[2], int(found[3])
        text = text.replace(found[0], before if when >= 1 and call <= when else after)
    return text


@pytest.mark.parametrize(
    ("sampler", "steps", "counts"),
    [
        ("DPM++ 2M Karras", 20, [5, 3, 2, 2, 8]),
        ("DPM++ 2M Karras", 10, [3, 1, 1, 1, 4]),
        ("dpm++ 2m karras", 50, [12, 8, 6, 5, 19]),
        ("Euler", 20, [4, 4, 4, 4, 4]),
        ("Euler a SGM Uniform", 30, [6, 6, 6, 6, 6]),
        ("DDIM", 20, [4, 4, 4, 4, 4]),
        ("DDIM", 30, [6, 6, 6, 6, 7]),  # takes one more than asked for
        ("Heun", 20, [7, 8, 8, 8, 8]),  # two calls a step, but for the last
    ],
)
def test_every_call_gets_the_word_of_its_stage(sampler, steps, counts) -> None:
    times = parse_sampler(sampler).timesteps(steps)
    text, left_out = edited_word(STEMS, times)
    seen = [word_at(text, call) for call in range(len(times))]
    assert [seen.count(stem) for stem in STEMS] == counts
    assert seen == [STEMS[min(max(4 - int(time) // 200, 0), 4)] for time in times]
    assert left_out == []


def test_the_string_of_the_usual_sampler() -> None:
    text, _ = edited_word(STEMS, parse_sampler("DPM++ 2M Karras").timesteps(20))
    assert text == "[w1:[w2:[w3:[w4:w5:11]:9]:7]:4]"


def test_stages_without_a_call_are_left_out() -> None:
    times = parse_sampler("DPM++ 2M Karras").timesteps(5)
    text, left_out = edited_word(STEMS, times)
    # The first stage has one call, which the web UI's syntax cannot say; the fourth has none.
    assert left_out == [0, 3]
    assert [word_at(text, call) for call in range(5)] == ["w2", "w2", "w3", "w5", "w5"]


def test_one_word_is_itself() -> None:
    assert edited_word(("w",), parse_sampler("Euler").timesteps(20)) == ("w", [])


@pytest.mark.parametrize("name", ["DPM adaptive", "Restart", "", "Karras"])
def test_samplers_whose_calls_are_not_known_are_refused(name) -> None:
    with pytest.raises(UsageError, match="is not known"):
        parse_sampler(name)


@pytest.mark.parametrize("steps", [0, 1001])
def test_steps_that_cannot_be(steps) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        parse_sampler("DDIM").timesteps(steps)

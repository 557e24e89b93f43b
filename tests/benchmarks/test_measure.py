"""benchmarks/measure.py: which prompts a person is rendered with."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

pytest.importorskip("peft", reason="the benchmarks' own packages: pip install '.[benchmarks]'")

from benchmarks.baselines import METHODS
from benchmarks.measure import Bench
from faceid_cli.evaluation.prompts import PROMPT_SET


def test_neighbours_share_the_prompts_between_them() -> None:
    bench = Bench("builtin", prompts=14, render_steps=20, guidance_scale=5.0)
    own = [{prompt.text for prompt in bench.prompts_of(person)} for person in range(4)]
    assert [len(each) for each in own] == [14] * 4, "as many as were asked for, all different"
    assert own[0] | own[1] | own[2] == {prompt.text for prompt in PROMPT_SET}
    assert own[3] == own[0]
    few = Bench("builtin", prompts=12, render_steps=20, guidance_scale=5.0)
    assert all(len({each.text for each in few.prompts_of(person)}) == 12 for person in range(50))


@pytest.mark.slow
def test_processes_measure_what_one_does() -> None:
    settings = replace(METHODS["textual-inversion"].defaults, steps=2, batch_size=2)
    learn = partial(METHODS["textual-inversion"].learn, settings=settings)

    def scores(bench: Bench) -> list[dict[str, Any]]:
        found = bench.each(lambda person: bench.measure(person, 1, learn)["scores"], [0, 1, 2])
        return [{name: score for name, score in each.items() if name != "seconds"} for each in found]

    alone = Bench("builtin", prompts=2, render_steps=2, guidance_scale=5.0)
    with Bench("builtin", prompts=2, render_steps=2, guidance_scale=5.0, processes=2) as shared:
        there = scores(shared)
    for one, other in zip(scores(alone), there, strict=True):
        assert other == pytest.approx(one, abs=1e-3), "in the same order, up to rounding"

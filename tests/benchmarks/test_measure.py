"""benchmarks/measure.py: which prompts a person is rendered with."""

from __future__ import annotations

import pytest

pytest.importorskip("peft", reason="the benchmarks' own packages: pip install '.[benchmarks]'")

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

"""benchmarks/traffic: what is read and written is counted, and what only looks at it is not."""

from __future__ import annotations

import torch

from benchmarks.traffic import Counting


def test_operators_are_counted_with_all_that_they_take_and_return() -> None:
    weight, rows = torch.ones(8, 4), torch.ones(2, 4)
    with Counting([weight]) as counting:
        found = rows.view(4, 2).t().reshape(8).view(2, 4) @ weight.t()
        found += 1
    counts = counting.found
    assert counts.calls == {"clone": 1, "mm": 1, "add_": 1}
    assert counts.weights == {"mm": 2 * 8 * 4}
    assert counts.others["mm"] == 2 * (2 * 4 + 2 * 8)
    assert counts.others["add_"] == 2 * (2 * 8 + 2 * 8)

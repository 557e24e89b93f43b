"""A small dose of benchmarks/hostile_files.py: damaged and hostile files end in one error of ours, or in success."""

import pytest

from benchmarks.hostile_files import COUNTS, run


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("identity", 300),
        ("imported", 6),
        ("bundle", 12),
        ("weights", 40),
        ("pickles", 20),
        ("lora", 20),
        ("folders", 60),
        ("metadata", 200),
        ("photos", 150),
        ("registry", 4),
        ("rows", 3),
    ],
)
def test_damaged_files_end_in_one_error_and_write_nothing(kind, count) -> None:
    said: list[str] = []
    tally = run(kind, COUNTS[kind], count, show=said.append)  # other inputs than those of the benchmark
    assert said == []
    assert (tally.tracebacks, tally.written) == (0, 0)
    assert tally.refused + tally.accepted == tally.inputs == count

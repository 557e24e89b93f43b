"""How far a batch is, and what is kept of it: no pictures, of which there may be thousands."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from faceid_cli.api.wanted import FAILED, REJECTED, RENDERED, THERE, OnOutcome, Outcome
from faceid_cli.types import OnProgress


class Tally:
    """Counts outcomes, and hands them on.

    Args:
        missing: Pictures that are to be rendered.
        on_outcome: Called with each outcome.
        on_progress: Called with (pictures done, pictures in all).
    """

    def __init__(self, missing: int, on_outcome: OnOutcome, on_progress: OnProgress | None) -> None:
        self._on_outcome, self._on_progress = on_outcome, on_progress
        self._total, self._done = missing, 0
        self._counts: Counter[str] = Counter()
        self.failures: list[Outcome] = []
        self.cells: dict[int, list[Outcome]] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Take an outcome."""
        self._counts[outcome.status] += 1
        light = replace(outcome, render=None)  # pictures are not kept
        if outcome.status == FAILED:
            self.failures.append(light)
        if outcome.job is not None and outcome.job.labels and outcome.status != REJECTED:
            self.cells.setdefault(outcome.job.sheet, []).append(light)
        self._on_outcome(outcome)
        if outcome.job is not None and outcome.status in (RENDERED, FAILED):
            self._done += 1
            if self._on_progress is not None:
                self._on_progress(min(self._done, self._total), self._total)

    @property
    def finished(self) -> str:
        """How much there is, in words."""
        return f"{self._counts[RENDERED] + self._counts[THERE]} pictures of {self._total + self._counts[THERE]}"

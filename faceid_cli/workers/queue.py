"""Tasks for a pool: never more at once than it takes, and those of lost workers once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from faceid_cli.types import OnNote
from faceid_cli.workers.pool import Pool

Task = TypeVar("Task")
Value = TypeVar("Value")
_SECONDS_BETWEEN_LOOKS = 0.25


class Queue(Generic[Task, Value]):
    """Keeps a pool at work.

    Args:
        pool: The workers.
        on_answer: Called with a task and what came of it.
        on_lost: Called with a task whose worker was lost, how often that has happened to it, and why; returns what is
            to be given out again in its place.
        on_note: Called with a line worth telling the user.
        on_idle: Called now and then.
    """

    def __init__(
        self,
        pool: Pool,
        on_answer: Callable[[Task, Value], None],
        on_lost: Callable[[Task, int, str], Sequence[Task]],
        on_note: OnNote,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool, self._on_answer, self._on_lost = pool, on_answer, on_lost
        self._on_note, self._on_idle = on_note, on_idle
        self._given: dict[int, tuple[Task, int]] = {}
        self._again: deque[tuple[Task, int]] = deque()
        self._tickets = self._losses = 0

    def run(self, following: Callable[[], Task | None]) -> None:
        """Work until nothing is left.

        Args:
            following: The next task; None where there is none now. It is asked again after each answer.

        Raises:
            FaceIDError: As `Pool.take`.
        """
        while True:
            while self._pool.room > 0 and (found := self._next(following)) is not None:
                self._tickets += 1
                self._given[self._tickets] = found
                self._pool.give(self._tickets, found[0])
            if not self._given and self._pool.room > 0:
                return
            for answer in self._pool.take(_SECONDS_BETWEEN_LOOKS):
                task, times = self._given.pop(answer.ticket)
                if answer.lost and not answer.was_begun:
                    self._again.append((task, times))
                elif answer.lost:
                    self._losses += 1
                    count = f" ({self._losses} losses so far)" if self._losses > 1 else ""
                    self._on_note(f"{answer.lost}; what it was doing is done again{count}")
                    self._again.extend((each, times + 1) for each in self._on_lost(task, times + 1, answer.lost))
                else:
                    self._on_answer(task, answer.value)
            self._on_idle()

    def _next(self, following: Callable[[], Task | None]) -> tuple[Task, int] | None:
        if self._again:
            return self._again.popleft()
        task = following()
        return None if task is None else (task, 0)

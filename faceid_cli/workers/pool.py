"""What a pool of workers takes and returns, whatever they are."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from faceid_cli.errors import FaceIDError, WorkersError

AHEAD = 2
"""Tasks that a worker holds: the one it works on, and one more, so that it need not wait for the next."""


@dataclass(frozen=True)
class Place:
    """Where a worker works.

    Attributes:
        device: Its device; None for whatever the tasks say.
        threads: How many cores it may use; None for as many as it likes.
    """

    device: str | None = None
    threads: int | None = None


Worker = Callable[[Any], Any]
"""Takes a task, and returns the answer; raises FaceIDError for what ends all work, such as a missing base model."""
Make = Callable[[Place, Any], Worker]
"""Makes a worker of a place and of what all workers are told; a function or class that can be imported by name."""


@dataclass(frozen=True)
class Answer:
    """What came of a task.

    Attributes:
        ticket: Of the task.
        value: What the worker returned.
        lost: Why the worker is no more; "" where it has answered.
        was_begun: Whether a worker that is no more had begun with it; else it was behind another task.
    """

    ticket: int
    value: Any = None
    lost: str = ""
    was_begun: bool = True


class Pool(Protocol):
    """Some workers."""

    @property
    def room(self) -> int:
        """How many tasks it takes now."""
        ...

    @property
    def told(self) -> str:
        """Who they are, in a few words."""
        ...

    def give(self, ticket: int, task: Any) -> None:
        """Give a task to whoever has least to do; only where there is room."""
        ...

    def take(self, seconds: float) -> list[Answer]:
        """Wait so long for answers, and return those that have come.

        Raises:
            FaceIDError: What a worker raised.
            WorkersError: No worker is left.
        """
        ...

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        ...


def lost_with(tickets: Sequence[int], why: str) -> list[Answer]:
    """Answers for what a worker held that is no more, in the order in which it was given."""
    return [Answer(ticket, lost=why, was_begun=number == 0) for number, ticket in enumerate(tickets)]


def shipped(error: BaseException) -> BaseException:
    """An error as it can be sent: those that are no user's are told as text, for their objects may not travel."""
    if isinstance(error, FaceIDError):
        return error
    return RuntimeError("in a worker:\n" + "".join(traceback.format_exception(error)))


def not_started(where: str, why: str) -> WorkersError:
    """The error for workers that end before they have done anything."""
    return WorkersError(f"no worker could be started on {where}: {why}", "the same faceid has to be installed there")

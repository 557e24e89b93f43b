"""Workers that are Ray actors, on one machine or on many."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from faceid_cli.errors import FaceIDError, WorkersError
from faceid_cli.types import OnNote
from faceid_cli.version import __version__
from faceid_cli.workers.joining import Joined
from faceid_cli.workers.pool import AHEAD, Answer, Make, Place, Worker, lost_with, not_started, shipped

CORES = 4
"""Of a worker without a GPU, where a machine has so many."""
_SECONDS_BETWEEN_WAITS = 30.0
_SECONDS_BETWEEN_COUNTS = 15.0
_SECONDS_BETWEEN_QUESTIONS = 0.5
_MOST_DEATHS = 3


class Actor:
    """What runs on the cluster; it makes its worker when it gets its first task."""

    def __init__(self, make: Make, place: Place, given: Any, version: str) -> None:
        self._make, self._place, self._given, self._version = make, place, given, version
        self._worker: Worker | None = None

    def ready(self) -> str:
        """The machine's name, once the actor is there."""
        name = socket.gethostname()
        if __version__ != self._version:
            raise WorkersError(
                f"faceid {__version__} is installed on {name}, and {self._version} here",
                "install the same version on all machines",
            )
        return name

    def work(self, task: Any) -> tuple[Any, BaseException | None]:
        """What came of a task, and what ends all."""
        try:
            self._worker = self._worker or self._make(self._place, self._given)
            return self._worker(task), None
        except Exception as error:
            return None, shipped(error)


@dataclass
class _Member:
    """An actor: what it holds, by reference; and the question whether it is there."""

    handle: Any
    given: dict[Any, int] = field(default_factory=dict)
    asked: Any = None
    asked_at: float = 0.0
    host: str = ""


class Cluster:
    """A pool of Ray actors; see `pool.Pool`.

    An actor that is lost is started again by Ray, where there is room. Where machines join the cluster, there are more.

    Args:
        make: Makes a worker.
        given: What it is told.
        address: As of `WorkersOrder.ray`.
        workers: How many; None for one for each GPU, or for each `CORES` cores.
        device: As the tasks have it: "cpu" for workers without a GPU.
        on_note: Called with a line worth telling the user.

    Raises:
        UsageError: Ray is not installed.
        WorkersError: The cluster cannot be reached, or has nothing to work with.
    """

    def __init__(self, make: Make, given: Any, address: str, workers: int | None, device: str, on_note: OnNote) -> None:
        self._joined = Joined(address)
        self._ray = self._joined.ray
        self._make, self._given, self._on_note = make, given, on_note
        self._members: list[_Member] = []
        self._holders: dict[Any, _Member] = {}
        self._deaths, self._wanted, self._counted = 0, workers, time.monotonic()
        self._told_waiting = time.monotonic()
        try:
            self._on_gpus = device in ("auto", "cuda") and self._gpus() >= 1
            self._cores = self._cores_each()
            self._grow()
            if not self._members:
                raise WorkersError(
                    "the Ray cluster has neither a GPU nor a core", "add machines to it, or give --workers"
                )
        except BaseException:
            self.close()
            raise

    @property
    def told(self) -> str:
        """See `pool.Pool`."""
        nodes = sum(node["Alive"] for node in self._ray.nodes())
        where = "1 machine" if nodes == 1 else f"{nodes} machines"
        who = "1 worker" if len(self._members) == 1 else f"{len(self._members)} workers"
        each = "a GPU" if self._on_gpus else "1 core" if self._cores == 1 else f"{self._cores} cores"
        return f"{who} with {each} each, on a Ray cluster of {where}"

    @property
    def room(self) -> int:
        """See `pool.Pool`."""
        return sum(AHEAD - len(each.given) for each in self._members if each.host)

    def give(self, ticket: int, task: Any) -> None:
        """See `pool.Pool`."""
        chosen = min((each for each in self._members if each.host), key=lambda each: len(each.given))
        reference = chosen.handle.work.remote(task)
        chosen.given[reference] = ticket
        self._holders[reference] = chosen

    def take(self, seconds: float) -> list[Answer]:
        """See `pool.Pool`."""
        self._ask()
        asked = {each.asked: each for each in self._members if each.asked is not None}
        waited = [*self._holders, *asked]
        if not waited:
            time.sleep(seconds)
            return []
        # Waiting for one, and then for all that are there: with a thousand workers many come at once.
        self._ray.wait(waited, num_returns=1, timeout=seconds, fetch_local=True)
        ready, _ = self._ray.wait(waited, num_returns=len(waited), timeout=0, fetch_local=True)
        answers: list[Answer] = []
        for reference in ready:
            if reference in asked:
                self._arrived(asked[reference])
            elif reference in self._holders:  # else it was lost with its worker, which another one told
                answers += self._answers(reference)
        self._tell_waiting()
        self._grow()
        return answers

    def wait_for_one(self) -> None:
        """Wait until somebody is there to work."""
        while not self.room:
            self.take(0.5)

    def close(self) -> None:
        """See `pool.Pool`."""
        ray = self._ray
        for each in self._members:
            with suppress(Exception):
                ray.kill(each.handle)
        self._members.clear()
        self._holders.clear()
        self._joined.leave()

    def _gpus(self) -> float:
        return float(self._ray.cluster_resources().get("GPU", 0))

    def _cores_each(self) -> int:
        nodes = [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]
        return max(1, min(CORES, max(nodes, default=1)))

    def _fitting(self) -> int:
        """How many workers the cluster has room for."""
        if self._on_gpus:
            return int(self._gpus())
        nodes = [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]
        return sum(cores // self._cores for cores in nodes)

    def _grow(self) -> None:
        """Have as many workers as are wanted, or as fit: looked at now and then, for machines may join."""
        now = time.monotonic()
        if self._members and (self._wanted is not None or now - self._counted < _SECONDS_BETWEEN_COUNTS):
            return
        self._counted = now
        wanted = self._fitting() if self._wanted is None else self._wanted
        place = Place(threads=None if self._on_gpus else self._cores)
        asked = {"num_gpus": 1, "num_cpus": 1} if self._on_gpus else {"num_gpus": 0, "num_cpus": self._cores}
        kind = self._ray.remote(Actor).options(max_restarts=-1, max_task_retries=0, **asked)
        while len(self._members) < wanted:
            member = _Member(kind.remote(self._make, place, self._given, __version__))
            member.asked = member.handle.ready.remote()
            self._members.append(member)

    def _arrived(self, member: _Member) -> None:
        """Somebody is there to work, or could not be started."""
        reference, member.asked = member.asked, None
        try:
            member.host = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from error
        except self._ray.exceptions.ActorUnavailableError:  # Ray is still starting it again
            member.asked_at = time.monotonic()
        except self._ray.exceptions.RayError as error:
            raise not_started("the Ray cluster", _short(error)) from error

    def _ask(self) -> None:
        """Ask those who were not there yet whether they are now."""
        for each in self._members:
            if not each.host and each.asked is None and time.monotonic() - each.asked_at > _SECONDS_BETWEEN_QUESTIONS:
                each.asked = each.handle.ready.remote()

    def _answers(self, reference: Any) -> list[Answer]:
        member = self._holders[reference]
        try:
            value, error = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as bug:
            raise _cause(bug) from bug
        except self._ray.exceptions.RayError as lost:
            return self._lost(member, lost)
        del self._holders[reference]
        ticket = member.given.pop(reference)
        if error is not None:
            raise error
        self._deaths = 0
        return [Answer(ticket, value)]

    def _lost(self, member: _Member, error: Exception) -> list[Answer]:
        """What a worker held is lost with it; Ray starts it again, perhaps elsewhere, once there is room."""
        why = f"worker {self._members.index(member) + 1} on {member.host} was lost"
        tickets = list(member.given.values())
        for reference in member.given:
            del self._holders[reference]
        member.given.clear()
        member.host = ""
        self._deaths += 1
        if self._deaths >= _MOST_DEATHS * max(1, len(self._members)):
            raise WorkersError(f"{self._deaths} workers in a row were lost: {_short(error)}", "ray status says more")
        member.asked = member.handle.ready.remote()
        return lost_with(tickets, why)

    def _tell_waiting(self) -> None:
        now = time.monotonic()
        if any(each.host for each in self._members):
            self._told_waiting = now
        elif now - self._told_waiting > _SECONDS_BETWEEN_WAITS:
            self._told_waiting = now
            self._on_note("waiting for the Ray cluster to have room for a worker; ray status says what it is doing")


def _cause(error: Any) -> BaseException:
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, FaceIDError) else error


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]

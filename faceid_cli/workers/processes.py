"""Workers that are processes of this machine, one for each device."""

from __future__ import annotations

import os
import queue
import signal
import threading
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from faceid_cli.errors import WorkersError
from faceid_cli.workers.pool import AHEAD, Answer, Make, Place, Worker, lost_with, shipped

_MOST_DEATHS = 3
"""So many workers may die, one after the other, without a single answer between."""
_SECONDS_TO_END = 5.0


@dataclass
class _Process:
    place: Place
    process: Any
    connection: Connection
    given: list[int] = field(default_factory=list)


class Processes:
    """Processes that are started afresh, so that each has its own device; see `pool.Pool`.

    Args:
        make: Makes a worker.
        given: What it is told.
        devices: One for each worker.
    """

    def __init__(self, make: Make, given: Any, devices: tuple[str, ...]) -> None:
        self._make, self._given = make, given
        self._deaths = 0
        self.told = f"{len(devices)} processes" if len(devices) > 1 else "1 process"
        places = [Place(device, _threads(devices.count("cpu")) if device == "cpu" else None) for device in devices]
        self._processes: list[_Process] = []
        try:
            for place in places:
                self._processes.append(self._started(place))
        except BaseException:
            self.close()
            raise

    @property
    def room(self) -> int:
        """See `pool.Pool`."""
        return sum(AHEAD - len(each.given) for each in self._processes)

    def give(self, ticket: int, task: Any) -> None:
        """See `pool.Pool`."""
        chosen = min(self._processes, key=lambda each: len(each.given))
        chosen.given.append(ticket)
        try:
            chosen.connection.send((ticket, task))
        except OSError:  # it has died, which `take` finds out
            return

    def take(self, seconds: float) -> list[Answer]:
        """See `pool.Pool`."""
        ready = set(wait([each.connection for each in self._processes], seconds))
        return [answer for each in list(self._processes) if each.connection in ready for answer in self._answers(each)]

    def close(self) -> None:
        """See `pool.Pool`."""
        for each in self._processes:
            each.process.terminate()
        for each in self._processes:
            each.process.join(_SECONDS_TO_END)
            if each.process.is_alive():
                each.process.kill()
                each.process.join()
            each.connection.close()
        self._processes.clear()

    def _answers(self, worker: _Process) -> list[Answer]:
        try:
            ticket, value, error = worker.connection.recv()
        except (EOFError, OSError):
            return self._replaced(worker)
        if error is not None:
            raise error
        self._deaths = 0
        worker.given.remove(ticket)
        return [Answer(ticket, value)]

    def _replaced(self, worker: _Process) -> list[Answer]:
        """Start another process in the place of one that has died; what it held is lost."""
        worker.process.join(_SECONDS_TO_END)
        worker.connection.close()
        self._processes.remove(worker)
        self._deaths += 1
        why = f"the worker on {worker.place.device} {_ended(worker.process.exitcode)}"
        if self._deaths >= _MOST_DEATHS:
            raise WorkersError(f"{self._deaths} workers in a row have ended; {why}", "see whether memory is short")
        self._processes.append(self._started(worker.place))
        return lost_with(worker.given, why)

    def _started(self, place: Place) -> _Process:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._make, place, self._given), daemon=True)
        process.start()
        theirs.close()
        return _Process(place, process, ours)


def serve(connection: Connection, make: Make, place: Place, given: Any) -> None:
    """Be a worker, until the other end of the connection is closed.

    Args:
        connection: Brings (ticket, task), and takes (ticket, value, error).
        make: Makes the worker.
        place: Where it works.
        given: What it is told.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the first one ends us
    signal.signal(signal.SIGTERM, _end)  # with what libraries have to put in order
    tasks: queue.Queue[tuple[int, Any] | None] = queue.Queue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    worker: Worker | None = None
    while (received := tasks.get()) is not None:
        ticket, task = received
        value, error = None, None
        try:
            worker = worker or make(place, given)
            value = worker(task)
        except Exception as raised:
            error = shipped(raised)
        try:
            connection.send((ticket, value, error))
        except OSError:
            return


def _end(number: int, frame: Any) -> None:
    raise SystemExit(0)


def _receive(connection: Connection, tasks: queue.Queue[tuple[int, Any] | None]) -> None:
    """Take tasks while others are worked on: two ends that both wait for the other to read would wait for ever."""
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        tasks.put(None)


def _threads(processes: int) -> int | None:
    """How many cores each of several processes may use, so that they do not take them from each other."""
    if processes < 2:
        return None
    said = os.environ.get("OMP_NUM_THREADS", "")
    most = int(said) if said.isdecimal() else os.cpu_count() or 1
    return max(1, min(most, (os.cpu_count() or 1) // processes))


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by signal {-code}"
    return f"has ended with exit code {code}"

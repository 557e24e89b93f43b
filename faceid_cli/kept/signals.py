"""Signals that wait: what belongs together on the disk is not torn apart by Ctrl-C or a request to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""What ends a command: Ctrl-C, `kill` and `timeout`, a terminal that is closed."""


@contextmanager
def held_signals() -> Iterator[None]:
    """Let signals that end the command wait until the context is left; the first of them is then raised.

    For a few system calls, such as a file and its row in the registry changing places. Python calls handlers in the
    main thread alone, so that elsewhere nothing has to be held. The handlers are changed, and not the thread's mask:
    other threads, which libraries start, would take the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def wait(number: int, _frame: Any) -> None:
        came.append(number)

    before: dict[int, Any] = {}
    try:
        for each in STOPPING:
            handler = signal.getsignal(each)
            if handler not in (signal.SIG_IGN, None):  # None: set by other than Python, and cannot be put back
                # Said first, so that a signal between the two lines finds everything put back.
                before[each] = handler
                signal.signal(each, wait)
        yield
    finally:
        for each, handler in reversed(before.items()):  # Ctrl-C last: it may strike as soon as it can
            signal.signal(each, handler)
        if came:
            signal.raise_signal(came[0])

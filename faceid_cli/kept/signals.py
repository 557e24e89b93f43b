"""Ctrl-C and requests to end: they wait where files would be torn apart, and are not lost where Python drops them."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""What ends a command: Ctrl-C, `kill` and `timeout`, a terminal that is closed."""

_SECONDS_UNTIL_AGAIN = 0.05


def raise_dropped_interrupts() -> None:
    """Raise Ctrl-C again where Python drops it: in a callback of its memory (a weakref's, `__del__`) it leads nowhere.

    Libraries have many of those while they are imported, and the command would go on as if nobody had stopped it. For
    processes of faceid's own.
    """
    usual = sys.unraisablehook

    def hook(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            usual(dropped)
            return
        # Raised in here, it would be dropped once more.
        again = threading.Timer(_SECONDS_UNTIL_AGAIN, _interrupt_main)
        again.daemon = True
        again.start()

    sys.unraisablehook = hook


def _interrupt_main() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:  # a true signal ends what the main thread waits for in the system, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


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

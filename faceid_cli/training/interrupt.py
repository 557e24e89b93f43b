"""Ctrl-C during training: finish the step first, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class InterruptFlag:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.raised = False


@contextmanager
def deferred_interrupt() -> Iterator[InterruptFlag]:
    """Collect the first Ctrl-C in a flag; a second one interrupts at once. The old handler comes back afterwards.

    Outside of the main thread, or where a program has its own handler for Ctrl-C, nothing is changed.
    """
    flag = InterruptFlag()
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield flag
        return

    def note(number: int, frame: FrameType | None) -> None:
        if flag.raised:
            raise KeyboardInterrupt
        flag.raised = True

    signal.signal(signal.SIGINT, note)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if flag.raised:  # since it was last looked at
        raise KeyboardInterrupt

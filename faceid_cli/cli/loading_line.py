"""The line that says that something is being loaded: since when, and how far it is with weights that it never saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from faceid_cli.cli.output import out
from faceid_cli.cli.views import duration

_SECONDS_UNTIL_TOLD = 2.0
_SECONDS_BETWEEN = 1.0
_LOADING = "loading ..."


class LoadingLine:
    """Says that something is being loaded: at once in a terminal, elsewhere only where it takes a while."""

    _at_work: ClassVar[bool] = False  # of several displays at a time one says it

    def __init__(self) -> None:
        self._mine, self._started = not LoadingLine._at_work, time.monotonic()
        self._ended = threading.Event()
        if not self._mine:
            return
        LoadingLine._at_work = True
        if out.live:
            out.passing(_LOADING)
        if out.mode != "quiet":
            # A daemon, so that it keeps nobody from ending.
            threading.Thread(target=self._go_on if out.live else self._tell_once, daemon=True).start()

    def end(self) -> None:
        """What was loaded is at work; may be called again and again."""
        if self._mine:
            LoadingLine._at_work = self._mine = False
            self._ended.set()
            out.passing("")

    def _tell_once(self) -> None:
        if not self._ended.wait(_SECONDS_UNTIL_TOLD):
            out.note(_LOADING)

    def _go_on(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN):
            if (seconds := time.monotonic() - self._started) >= _SECONDS_UNTIL_TOLD:
                out.still_passing(f"{_LOADING} {duration(seconds)}{_of_unknown_weights()}")


@contextmanager
def loading_line() -> Iterator[LoadingLine]:
    """Say that something is being loaded, while the context lasts or until the line is ended."""
    line = LoadingLine()
    try:
        yield line
    finally:
        line.end()


def _of_unknown_weights() -> str:
    """How far their fingerprint is; "" where none is worked out."""
    from faceid_cli.model_files.recalled import being_read  # whoever loads something has imported it by now

    reading = being_read()
    if reading is None or (left := reading.seconds_left) is None:
        return ""
    percent = 100 * reading.done // max(reading.total, 1)
    return f"  (reading new weights once: {min(percent, 100)} %, {duration(left)} left)"

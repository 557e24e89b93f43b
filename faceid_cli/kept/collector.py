"""Python's garbage collector while a command starts: importing torch and diffusers makes a million objects that stay.

Going through them again and again takes a fifth of the start. So a command collects rarely until its base model is
loaded; what is there by then is not gone through any more, and the collector works as usual.
"""

from __future__ import annotations

import gc

_RARELY = 200_000
_usual: list[tuple[int, int, int]] = []


def collect_rarely() -> None:
    """From now on, until `collect_as_usual`."""
    if not _usual:
        _usual.append(gc.get_threshold())
        gc.set_threshold(_RARELY, *_usual[0][1:])


def collect_as_usual() -> None:
    """The start is over; nothing where it was not slowed down."""
    if _usual:
        gc.set_threshold(*_usual.pop())
        gc.freeze()

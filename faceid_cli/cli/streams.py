"""The standard streams of the process: all three are there, and none refuses a character."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress

# File names may hold bytes that are no text. Python keeps them as these code points ("surrogateescape").
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF


def prepare_streams() -> None:
    """Make the streams safe to use, as at the start of a command.

    A stream that the caller closed (`>&-`) becomes the null device, and so does its number: else the next file that is
    opened, the registry perhaps, would get it, and what a library prints would be written into that file.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)
        # They stay open as long as the process lives.
        sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
        sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream, errors in (
        (sys.stdout, "faceid.shown" if sys.stdout.isatty() else "faceid.kept"),
        (sys.stderr, "faceid.shown"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):  # closed, or its reader has gone
                stream.reconfigure(errors=errors)


def abandon(stream: object) -> None:
    """Close a stream that cannot be written, so that Python does not try once more when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        stream.close()  # type: ignore[attr-defined]


def is_byte(letter: str) -> bool:
    """Whether it stands for a byte that is no text."""
    return _FIRST_BYTE <= ord(letter) <= _LAST_BYTE


def shown_byte(letter: str) -> str:
    """Such a byte, or another letter that no stream takes, as it is shown to people."""
    if is_byte(letter):
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("ascii", "backslashreplace").decode("ascii")


def _for_people(error: UnicodeError) -> tuple[str | bytes, int]:
    """What the stream has no character for, escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(shown_byte, error.object[error.start : error.end])), error.end


def _for_programs(error: UnicodeError) -> tuple[str | bytes, int]:
    """The same as the bytes that the system knows it by: a path that is printed is the path of the file."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    try:
        return os.fsencode(error.object[error.start : error.end]), error.end
    except UnicodeEncodeError:
        return _for_people(error)


codecs.register_error("faceid.shown", _for_people)
codecs.register_error("faceid.kept", _for_programs)

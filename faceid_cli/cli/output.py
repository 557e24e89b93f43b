"""Everything the command line says goes through `out`: data to stdout, the rest to stderr.

Names, notes and file names may come from anyone: what in them would steer the terminal is shown escaped (`visible`).

Modes: human (the default), json (one object with a version field), quiet (bare names or paths).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer

from faceid_cli.cli.streams import abandon
from faceid_cli.cli.visible import visible, visible_lines
from faceid_cli.errors import FaceIDError, OutputError, UsageError

JSON_VERSION = 1
_ERASE_LINE = "\r\x1b[K"


class Output:
    """The terminal, in one of three modes."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.RLock()  # the passing line is kept up to date in the background
        self.reset()

    def reset(self) -> None:
        """Back to the defaults, as at the start of a command."""
        self.mode = "human"
        self.verbose = False
        self._passing = ""

    # Data

    def result(self, data: Mapping[str, Any], human: Iterable[str], quiet: Iterable[str] = ()) -> None:
        """Print what the command found or made: the data as JSON, or the lines of the mode."""
        if self.mode == "json":
            self._print(_json_text({"version": JSON_VERSION, **data}))
            return
        is_quiet = self.mode == "quiet"
        if lines := [visible(line, keep_bytes=is_quiet) for line in (quiet if is_quiet else human)]:
            self._print("\n".join(lines))  # at once: there may be ten thousand

    def item(self, data: Mapping[str, Any], human: Iterable[str], quiet: Iterable[str] = ()) -> None:
        """Print one of many results as soon as it is there: the data as a line of JSON, or the lines of the mode."""
        if self.mode == "json":
            self._print(_json_text({"version": JSON_VERSION, **data}, indent=None))
        else:
            self.result(data, human, quiet)
        with suppress(OSError, ValueError):  # a pipe's reader is not kept waiting for more of it
            sys.stdout.flush()

    # Talk

    def note(self, text: str) -> None:
        """Something worth knowing, on stderr; not in quiet mode."""
        if self.mode != "quiet":
            self._say(visible(text))

    def hint(self, text: str) -> None:
        """What to do next, dim, for people only."""
        if self.mode == "human":
            self._say(self._styled(visible(text), dim=True))

    def warn(self, text: str) -> None:
        """Something that may be wrong, in every mode."""
        self._say(f"{self._styled('warning:', fg='yellow')} {visible(text)}")

    def error(self, error: FaceIDError) -> None:
        """Why the command failed, in every mode: one line, and one on what to do about it."""
        if self.verbose:
            self._say(visible_lines("".join(traceback.format_exception(error)).rstrip("\n")))
        self._say(f"{self._styled('error:', fg='red', bold=True)} {_one_line(error.message)}")
        if error.hint:
            self._say(self._styled(f"  {_one_line(error.hint)}", dim=True))

    def confirm(self, question: str, yes: bool) -> bool:
        """Ask; `-y` answers for the user, and nobody is asked where nobody sits.

        Raises:
            UsageError: Stdin is not a terminal, or the answer would mix with JSON, and `-y` was not given.
        """
        self.passing("")
        if yes:
            return True
        if self.mode == "json" or not sys.stdin.isatty():
            raise UsageError(f"cannot ask here: {question}", "give -y to say yes")
        with _ctrl_c():
            return typer.confirm(visible(question), err=True)

    def ask(self, question: str) -> str:
        """Ask for a line of text; "" where nobody can be asked, and for Ctrl-D.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        self.passing("")
        if not self.can_ask:
            return ""
        try:
            with _ctrl_c():
                answer: str = typer.prompt(visible(question), default="", show_default=False, err=True)
            answer.encode()
        except typer.Abort:
            typer.echo(err=True)
            return ""
        except UnicodeError:  # bytes of another encoding, which nothing could keep
            self.note("that was no text in UTF-8")
            return self.ask(question)
        return answer.strip()

    def passing(self, text: str) -> None:
        """Show in a terminal what is being done, in a line that goes again; "" takes it away. Elsewhere nothing."""
        with self._one_at_a_time:
            if self._passing:
                self._write(_ERASE_LINE)
            self._passing = visible(text) if self.live else ""
            if self._passing:
                self._write(self._styled(self._passing, dim=True))

    def still_passing(self, text: str) -> None:
        """Say it otherwise, where something is shown as `passing`."""
        with self._one_at_a_time:
            if self._passing:
                self.passing(text[: shutil.get_terminal_size().columns - 1])

    @property
    def can_ask(self) -> bool:
        """Whether somebody sits there to answer, and the answer would not mix with other output.

        A program in the background has a terminal, too, but the system stops it when it reads from that.
        """
        return self.mode == "human" and sys.stdin.isatty() and sys.stderr.isatty() and _is_in_foreground()

    @property
    def live(self) -> bool:
        """Whether a moving display can be shown on stderr."""
        return self.mode == "human" and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def columns(self) -> int:
        """Characters in a line of the terminal; no limit where stdout is none."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize

    def _print(self, line: str) -> None:
        """A line of data.

        Raises:
            OutputError: It cannot be written; where the reader has gone, a BrokenPipeError.
        """
        self.passing("")
        try:
            typer.echo(line, file=sys.stdout)
        except BrokenPipeError:
            raise
        except OSError as error:
            abandon(sys.stdout)
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"cannot write to standard output: {reason}", "check where it is sent to") from error

    def _say(self, line: str) -> None:
        """A line of talk, above the passing one."""
        with self._one_at_a_time:
            passing = self._passing
            self.passing("")
            self._write(f"{line}\n")
            self.passing(passing)

    def _write(self, text: str) -> None:
        """Talk; nothing depends on it, so a terminal that has gone is no reason to stop a night's work."""
        with suppress(OSError, ValueError):
            typer.echo(text, file=sys.stderr, nl=False)

    def _styled(self, text: str, **style: Any) -> str:
        if os.environ.get("NO_COLOR") or not sys.stderr.isatty():
            return text
        return typer.style(text, **style)


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """Let Ctrl-C at a question be what it is elsewhere: typer makes the same of it as of Ctrl-D."""
    try:
        yield
    except typer.Abort as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        typer.echo(err=True)  # the next line does not begin behind the question
        raise KeyboardInterrupt from error


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # Windows has no such thing; not every stdin is a file
        return True


def table(rows: Sequence[Sequence[str]], heading: Sequence[str]) -> list[str]:
    """Lines of aligned columns under a heading."""
    # All at once, and a row at a time: there may be ten thousand.
    is_plain = visible(text := "".join(cell for row in rows for cell in row)) == text
    everything = [heading, *(rows if is_plain else (tuple(map(visible, row)) for row in rows))]
    line = "  ".join(f"{{:<{max(map(len, column))}}}" for column in zip(*everything, strict=True))
    return [line.format(*row).rstrip() for row in everything]


def fitting_table(
    rows: Sequence[Sequence[str]], heading: Sequence[str], first_to_go: Sequence[str], columns: int
) -> list[str]:
    """A table that fits into so many characters, as far as it can: it gives up columns, in the order given."""
    shown, dispensable = list(range(len(heading))), [heading.index(name) for name in first_to_go if name in heading]
    while True:
        lines = table([[row[column] for column in shown] for row in rows], [heading[column] for column in shown])
        if not dispensable or max(map(len, lines)) <= columns:
            return lines
        shown.remove(dispensable.pop(0))


def pairs(entries: Mapping[str, str]) -> list[str]:
    """Lines of names and values, values aligned; empty values are left out."""
    shown = {key: value for key, value in entries.items() if value}
    width = max((len(key) for key in shown), default=0)
    return [f"{key.ljust(width)}  {value}" for key, value in shown.items()]


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))


def _json_text(data: Mapping[str, Any], indent: int | None = 2) -> str:
    """JSON as the standard has it: numbers that are none become null, and no letter steers a terminal."""
    text = json.dumps(_finite(data), indent=indent, default=str, allow_nan=False)
    return text.replace("\x7f", "\\u007f")  # json escapes all others


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


out = Output()

"""Files that may come from anyone: each has a limit before it is read, and whatever goes wrong is one error of ours."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from faceid_cli.errors import FaceIDError, OutOfMemoryError

MAX_JSON_BYTES = 4 * 2**20
"""Of a configuration. True ones have some kilobytes, the list of a sharded model's weights some hundred."""

MAX_HEADER_BYTES = 16 * 2**20
"""Of a safetensors file's list of tensors, with its metadata. Those of the largest models have half a megabyte."""

_MOST_LETTERS = 300


@contextmanager
def reading(
    path: Path | str,
    kind: type[FaceIDError],
    hint: str,
    what: str = "",
    verb: str = "is damaged",
    passes: Callable[[Exception], bool] = lambda error: False,
) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one error that names it; errors of ours stay as they are.

    Libraries raise nearly anything on damaged files, and all of it means the same.

    Args:
        path: The file or folder.
        kind: Class of the error.
        hint: What to do next.
        what: What it is, as the first words of the message, such as "weight file".
        verb: What is said of it.
        passes: Tells errors that have another cause than the file; they are raised as they are.

    Raises:
        OutOfMemoryError: There is not enough memory to read it.
    """
    try:
        yield
    except FaceIDError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"not enough memory to read {path}", "close other programs") from error
    except Exception as error:
        if passes(error):
            raise
        raise kind(f"{f'{what} ' if what else ''}{path} {verb}: {reason_of(error)}", hint) from error


def reason_of(error: Exception) -> str:
    """What an error says, in one line of reasonable length."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    said = " ".join(str(error).split())[:_MOST_LETTERS]
    is_telling = said and not isinstance(error, KeyError | AttributeError | TypeError | StopIteration)
    return said if is_telling else f"it does not have the form that it should have ({type(error).__name__})"


def open_file(path: Path) -> IO[bytes]:
    """Open an ordinary file for reading; a pipe or a device could keep the reader waiting forever.

    Raises:
        OSError: Not there, not to be read, or not an ordinary file.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(0, "it is not a file", str(path))
    return open(path, "rb")


def read_bytes(path: Path, most: int) -> bytes:
    """Read a whole file that may have at most so many bytes.

    Raises:
        OSError: As `open_file`.
        ValueError: It has more.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"it has {size} bytes, and may have {most}")
        return file.read(most)


def parse_json(content: bytes | str, is_written_by_hand: bool = False) -> Any:
    """Parse JSON as the standard has it: UTF-8, and without NaN and infinity, which other programs cannot read.

    Args:
        content: The JSON.
        is_written_by_hand: Refuse a key that an object has twice: one of the two would be lost.

    Raises:
        ValueError: It is none.
    """
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=_once if is_written_by_hand else None)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: Path, most: int = MAX_JSON_BYTES, is_written_by_hand: bool = False) -> Any:
    """Read a JSON file of at most so many bytes.

    Raises:
        OSError, ValueError: As `read_bytes` and `parse_json`.
    """
    return parse_json(read_bytes(path, most), is_written_by_hand)


def header_size(file: IO[bytes]) -> int:
    """Read where a safetensors file's list of tensors ends, counted from its ninth byte, and check that it can be read.

    Raises:
        ValueError: It goes beyond the file, or beyond MAX_HEADER_BYTES.
    """
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= size - 8:
        raise ValueError("the header is longer than the file")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its list of tensors has {length} bytes, and may have {MAX_HEADER_BYTES}")
    return length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} is there twice")
        found[key] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")

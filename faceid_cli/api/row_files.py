"""Files of rows: read from wherever they are, and those of rows that failed written beside what was made."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from faceid_cli.api.saving import make_folder
from faceid_cli.errors import UsageError
from faceid_cli.kept.files import write_atomically
from faceid_cli.kept.remote import is_remote, local_path, read_remote, remote_path, remove_remote, write_remote
from faceid_cli.orders.checks import user_path


def content_of(file: Path | str, what: str) -> tuple[str, bytes]:
    """What a file is called in messages, and its bytes; "-" is a pipe.

    Args:
        file: As the user called it.
        what: It holds, for the hint.

    Raises:
        UsageError: It cannot be read.
    """
    if str(file) == "-":
        return "standard input", sys.stdin.buffer.read()
    elsewhere = remote_path(file)
    try:
        return str(file), user_path(local_path(file)).read_bytes() if elsewhere is None else read_remote(elsewhere)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {file}: {reason}", f"give a file of {what}, or - for a pipe") from error


def write_failed_rows(file: Path, lines: Iterable[Mapping[str, Any]], is_asked_for: bool) -> None:
    """Write rows that failed, or delete the file of an earlier time where there are none now.

    Args:
        file: Where they go.
        lines: The rows, as JSON objects.
        is_asked_for: Whether the user named the file: such a one is left where nothing failed.

    Raises:
        OutputError: It cannot be written.
    """
    # YAML has dates, bytes and sets, too.
    said = [json.dumps(line, default=str, skipkeys=True) for line in lines]
    content = "".join(f"{line}\n" for line in said).encode()
    if is_remote(file):
        if said:
            write_remote(file, content)
        elif not is_asked_for:
            remove_remote(file)
    elif said:
        make_folder(file.absolute().parent)
        write_atomically(file, content)
    elif not is_asked_for and file.is_file():
        file.unlink()

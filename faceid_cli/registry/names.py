"""Names of identities: what is allowed, and a quick look at those that exist. Standard library only."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from faceid_cli.errors import FaceIDError, InvalidNameError
from faceid_cli.kept import paths

MAX_LENGTH = 64
_ALLOWED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def check_name(name: str) -> str:
    """Return the name if an identity may have it.

    Names are letters (a-z, A-Z), digits, "-" and "_", 1 to 64 long. They do not begin with "-", because the command
    line would take them for an option. Upper and lower case are kept, but "Alice" and "alice" are one name.

    Raises:
        InvalidNameError: Any other name.
    """
    hint = f'use letters (a-z), digits, "-" and "_", 1 to {MAX_LENGTH} of them'
    if not name:
        raise InvalidNameError("the name is empty", hint)
    if len(name) > MAX_LENGTH:
        raise InvalidNameError(f"the name {name[:20]!r}... is {len(name)} characters long", hint)
    if name.startswith("-"):
        raise InvalidNameError(f'the name {name!r} begins with "-"', hint)
    if not _ALLOWED.fullmatch(name):
        raise InvalidNameError(f"{name!r} is not a name", hint)
    return name


def is_name(name: str) -> bool:
    """Whether an identity, or a base model, may have the name."""
    return len(name) <= MAX_LENGTH and _ALLOWED.fullmatch(name) is not None


def known_names(path: Path | None = None) -> list[str]:
    """Names in the registry, sorted, for shell completion: quick, read-only, and empty when anything is wrong."""
    try:
        file = paths.registry_file() if path is None else path
    except FaceIDError:
        return []
    for how in ("mode=ro", "mode=ro&immutable=1"):  # the latter where SQLite may write nothing, not even to read
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=0.2)) as connection:
                rows = connection.execute("SELECT name FROM identities ORDER BY name").fetchall()
        except sqlite3.Error:
            continue
        return [name for (name,) in rows if isinstance(name, str) and is_name(name)]
    return []

"""Names of identities: what is allowed. Standard library only."""

from __future__ import annotations

import re

from faceid_cli.errors import InvalidNameError

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

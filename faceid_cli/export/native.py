"""Identity files, for faceid itself and beside other exports."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.errors import OutputError
from faceid_cli.export.person import Exported
from faceid_cli.kept.identity_file import identity_bytes, load_identity


def native_file(person: Exported) -> bytes:
    """The content of a person's identity file."""
    return identity_bytes(person.stored.keys, person.stored.values, person.stored.metadata)


def check_native(path: Path, person: Exported) -> None:
    """Read an identity file back.

    Raises:
        OutputError: It is not what was written.
    """
    found = load_identity(path)
    if found.digest != person.stored.digest or found.metadata != person.stored.metadata:
        raise OutputError(f"{path} was not written as it should be", "try again, on another disk")

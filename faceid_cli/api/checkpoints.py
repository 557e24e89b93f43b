"""Where the checkpoints of interrupted enrolments are, and whether anything can be kept at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from faceid_cli import paths
from faceid_cli.errors import OutputError


def checkpoint_dir(name: str) -> Path:
    """Folder of the checkpoint that an interrupted enrolment leaves; hexadecimal, so that no name is ever a path."""
    return paths.runs_dir() / hashlib.sha256(name.lower().encode()).hexdigest()[:16]


def existing_home() -> Path:
    """The folder of everything that faceid keeps, or the nearest folder above it that exists."""
    home = paths.home().absolute()
    return next(folder for folder in (home, *home.parents) if folder.exists())


def is_home_writable() -> bool:
    """Whether that folder can be written, as far as that can be told without writing."""
    folder = existing_home()
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def check_home_writable() -> None:
    """Find out before a long training that its result could not be kept.

    Raises:
        OutputError: The folder of everything that faceid keeps cannot be written.
    """
    if not is_home_writable():
        raise OutputError(f"{paths.home()} cannot be written", "set FACEID_HOME to a folder of yours")

"""Where the checkpoints of interrupted enrolments are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from faceid_cli import paths


def checkpoint_dir(name: str) -> Path:
    """Folder of the checkpoint that an interrupted enrolment leaves; hexadecimal, so that no name is ever a path."""
    return paths.runs_dir() / hashlib.sha256(name.lower().encode()).hexdigest()[:16]

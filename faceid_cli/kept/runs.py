"""Where the checkpoints of interrupted enrolments are, and whether anything can be kept at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from faceid_cli.errors import NameTakenError, OutputError
from faceid_cli.kept import paths
from faceid_cli.kept.files import write_atomically

_CLAIM, _CONSENT = "claim", "consent.json"


def checkpoint_dir(name: str) -> Path:
    """Folder of the checkpoint that an interrupted enrolment leaves; hexadecimal, so that no name is ever a path."""
    return paths.runs_dir() / hashlib.sha256(name.lower().encode()).hexdigest()[:16]


def previews_folder(run: Path) -> Path:
    """Where an enrolment's sample pictures wait for its end, beside its checkpoint."""
    return run / "previews"


@contextmanager
def claimed_run(name: str) -> Iterator[Path]:
    """Hold the folder of an enrolment's checkpoint while the context lasts; a folder that stays empty goes again.

    Two enrolments of one name at a time would write over each other's checkpoint. The system lets go of a claim when
    its process ends, however it ends.

    Raises:
        NameTakenError: Another process learns a person of that name just now.
        OutputError: The folder cannot be written.
    """
    folder = checkpoint_dir(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim = (folder / _CLAIM).open("wb")
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}", "set FACEID_HOME to a folder of yours") from error
    with claim:
        if not _lock(claim):
            raise NameTakenError(f"{name} is being enrolled by another process", "wait for it, or choose another name")
        try:
            yield folder
        finally:
            claim.close()  # Windows deletes no open file
            with suppress(OSError):  # the folder has gone, or there is a checkpoint in it
                if not is_interrupted(folder):
                    (folder / _CONSENT).unlink(missing_ok=True)
                (folder / _CLAIM).unlink()
                folder.rmdir()


def is_interrupted(folder: Path) -> bool:
    """Whether an enrolment left something in the folder of its checkpoint."""
    return folder.is_dir() and any(path.name not in (_CLAIM, _CONSENT) for path in folder.iterdir())


def keep_consent(folder: Path, said: str, photos: Collection[str]) -> None:
    """Keep what was said to being learned beside the checkpoint, so that it is asked for once even if that goes wrong.

    Args:
        folder: Of the checkpoint.
        said: The answer.
        photos: Keys of the photos that it speaks of.

    Raises:
        OutputError: It cannot be written.
    """
    write_atomically(folder / _CONSENT, json.dumps({"said": said, "photos": sorted(photos)}).encode())


def kept_consent(folder: Path, photos: Collection[str]) -> str | None:
    """What was said about these photos before an enrolment was interrupted; None where nobody was asked."""
    try:
        content = json.loads((folder / _CONSENT).read_bytes())
        said, known = content["said"], set(content["photos"])
    except (OSError, ValueError, TypeError, KeyError):  # not there, or cut off: ask again
        return None
    return said if isinstance(said, str) and known >= set(photos) else None


def give_up(folder: Path) -> None:
    """Delete what an interrupted enrolment left in the folder of its checkpoint; a claim stays.

    Raises:
        OutputError: It cannot be deleted.
    """
    try:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _CLAIM:
                path.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot delete {folder}: {reason}", "check its permissions") from error


def _lock(file: IO[bytes]) -> bool:
    """Take the lock of an open file; False where another process has it. File systems without locks let all pass."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


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

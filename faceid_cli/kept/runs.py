"""Where the checkpoints of interrupted enrolments are, and whether anything can be kept at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from faceid_cli.errors import NameTakenError, OutputError
from faceid_cli.kept import paths
from faceid_cli.kept.files import make_folder, write_atomically
from faceid_cli.kept.foreign import read_json
from faceid_cli.kept.locks import locked

_CONSENT = "consent.json"


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
    with ExitStack() as held:
        try:
            is_ours = held.enter_context(locked(claim_file(folder)))
            if is_ours:
                make_folder(folder)
        except OSError as error:
            hint = "set FACEID_HOME to a folder of yours"
            raise OutputError(f"cannot write {folder}: {error.strerror}", hint) from error
        if not is_ours:
            raise NameTakenError(f"{name} is being enrolled by another process", "wait for it, or choose another name")
        try:
            yield folder
        finally:
            with suppress(OSError):  # the folder has gone, or there is a checkpoint in it
                if not is_interrupted(folder):
                    (folder / _CONSENT).unlink(missing_ok=True)
                folder.rmdir()


def claim_file(folder: Path) -> Path:
    """The lock of a checkpoint's folder; beside it, since the folder comes and goes."""
    return folder.with_suffix(".lock")


def discard_checkpoint(name: str) -> bool:
    """Delete what an interrupted enrolment left; False where that cannot be done, or somebody is at work there."""
    folder = checkpoint_dir(name)
    if not folder.exists():
        return True
    with suppress(OSError), locked(claim_file(folder)) as is_ours:
        if is_ours:
            shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def move_checkpoint(name: str, new_name: str) -> None:
    """Let the checkpoint of an interrupted enrolment go with a person who has another name now.

    What may lie under the new name has nobody any more. Where an enrolment is at work under either, nothing moves.

    Raises:
        OSError: It cannot be moved; then it is where it was, or there already.
    """
    old, new = checkpoint_dir(name), checkpoint_dir(new_name)
    if old == new or not old.exists():
        return
    with locked(claim_file(old)) as is_old_ours, locked(claim_file(new)) as is_new_ours:
        if is_old_ours and is_new_ours and old.exists():
            if new.exists():
                shutil.rmtree(new)
            old.rename(new)


def checkpoint_folders() -> list[Path]:
    """Folders of all interrupted enrolments."""
    return sorted(path for path in paths.runs_dir().glob("*") if path.is_dir())


def is_interrupted(folder: Path) -> bool:
    """Whether an enrolment left something in the folder of its checkpoint."""
    return folder.is_dir() and any(path.name != _CONSENT for path in folder.iterdir())


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
        content = read_json(folder / _CONSENT)
        said, known = content["said"], set(content["photos"])
    except (OSError, ValueError, TypeError, KeyError):  # not there, or cut off: ask again
        return None
    return said if isinstance(said, str) and known >= set(photos) else None


def give_up(folder: Path) -> None:
    """Delete what an interrupted enrolment left in the folder of its checkpoint.

    Raises:
        OutputError: It cannot be deleted.
    """
    try:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot delete {folder}: {reason}", "check its permissions") from error


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

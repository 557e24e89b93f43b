"""What the registry is about to do, written down before it is begun, so that it can be finished after a crash.

A row is one transaction, but a person is more: an embedding, crops, a checkpoint, copies of the registry. So each
change of several of these has an entry, a small file, as long as it lasts. Its process holds a lock on it. An entry
that nobody holds is of a process that has died, and the next one that opens the registry finishes what it says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

from faceid_cli.kept.files import make_folder
from faceid_cli.kept.locks import locked

Kind = Literal["keep", "rename", "remove"]
_ID = re.compile("[0-9a-f]+")
_ENTRY, _LEFT, _STAGE = ".json", ".left", ".stage"


@dataclass(frozen=True)
class Entry:
    """A change that has been begun.

    Attributes:
        kind: What is done. A person who is kept is there once their row is; one who is removed is gone from here on.
        identity_id: Who.
        name: What they are called; before, if they are renamed.
        new_name: Afterwards, if they are renamed.
        others: Ids of people who give way to one who is kept, or are kept together with them.
        spent: Name of the checkpoint's folder that a person who is kept was learned in.
    """

    kind: Kind
    identity_id: str
    name: str
    new_name: str = ""
    others: tuple[str, ...] = ()
    spent: str = ""

    @property
    def people(self) -> tuple[str, ...]:
        """Ids of all whom it is about."""
        return (self.identity_id, *self.others)


class Journal:
    """The entries of one registry.

    Args:
        file: The registry's file; the entries lie in a folder beside it. None for a registry in memory: it needs none.
    """

    def __init__(self, file: Path | None) -> None:
        self._folder = None if file is None else file.parent / "unfinished"

    @contextmanager
    def entry(self, entry: Entry) -> Iterator[None]:
        """Have an entry, and hold it while the context lasts; what is not closed then is finished later.

        Raises:
            OSError: It cannot be written; nothing has been begun then.
        """
        if self._folder is None:
            yield
            return
        path = self._folder / f"{entry.identity_id}{_ENTRY}"
        with locked(path.with_suffix(".lock"), wait_seconds=10.0):
            _write(path, entry)
            yield

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """An empty folder for what is put together; it goes with its process, be it by the next one.

        Raises:
            OSError: It cannot be made.
        """
        assert self._folder is not None
        path = self._folder / f"{uuid4().hex}{_STAGE}"
        with locked(path.with_suffix(".lock")):
            make_folder(path)
            try:
                yield path
            finally:
                shutil.rmtree(path, ignore_errors=True)

    def unfinished(self, with_left: bool = False) -> Iterator[Entry]:
        """Entries of processes that have died, one after the other, each held until the next is asked for.

        Args:
            with_left: Whether those that could not be finished when that was tried are among them, and those of which
                the file system cannot say whether their process is alive.
        """
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            if path.suffix == _ENTRY or (with_left and path.suffix == _LEFT):
                with locked(path.with_suffix(".lock"), is_sure=not with_left) as is_ours:
                    if is_ours and path.exists() and (entry := _read(path)) is not None:
                        yield entry
            elif path.suffix in (_STAGE, ".lock"):
                with locked(path.with_suffix(".lock"), is_sure=not with_left) as is_ours:
                    if is_ours and path.suffix == _STAGE:
                        shutil.rmtree(path, ignore_errors=True)

    def close(self, entry: Entry, is_finished: bool = True) -> None:
        """Take an entry away that is finished; what could not be is put aside, for `faceid doctor --fix`."""
        if self._folder is None:
            return
        path = self._folder / f"{entry.identity_id}{_ENTRY}"
        with suppress(OSError):  # then it is done once more
            for suffix in (_ENTRY, _LEFT) if is_finished else ():
                path.with_suffix(suffix).unlink(missing_ok=True)
            if not is_finished and path.exists():
                path.replace(path.with_suffix(_LEFT))

    def entries(self) -> list[Entry]:
        """All of them, at work or not."""
        if self._folder is None or not self._folder.is_dir():
            return []
        paths = sorted(path for path in self._folder.iterdir() if path.suffix in (_ENTRY, _LEFT))
        return [entry for path in paths if (entry := _read(path, may_drop=False)) is not None]


def _write(path: Path, entry: Entry) -> None:
    """Write it in place: one that was cut off says that nothing has been begun."""
    make_folder(path.parent)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(entry), file)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise


def _read(path: Path, may_drop: bool = True) -> Entry | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        entry = Entry(**{**found, "others": tuple(found["others"])})
        if not all(map(_ID.fullmatch, (entry.identity_id, *entry.others, entry.spent or "0"))):
            raise ValueError("these become names of files")
        return entry
    except (OSError, ValueError, TypeError, KeyError):
        if may_drop:
            path.unlink(missing_ok=True)
        return None

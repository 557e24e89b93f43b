"""What every kind of file has, and those kinds that are one file each."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from faceid_cli.errors import FaceIDError
from faceid_cli.kept import paths


class Kind(Protocol):
    """A kind of file: `make` writes the next one, `read` reads it, `left` is what lies where nothing should."""

    def make(self, chance: random.Random) -> None:
        """Write an input."""

    def read(self) -> None:
        """Read it, as faceid does."""

    def left(self) -> set[Path]:
        """Files that a refused input must not add to."""


class OneFile:
    """One file, and readers that take it one after the other; the first that refuses it is the answer.

    Args:
        folder: For the file.
        name: Of the file.
        change: Makes its content.
        readers: Take its path.
    """

    def __init__(
        self, folder: Path, name: str, change: Callable[[random.Random], bytes], *readers: Callable[[Path], object]
    ) -> None:
        self.path, self._change, self._readers = folder / name, change, readers

    def make(self, chance: random.Random) -> None:
        self.path.write_bytes(self._change(chance))

    def read(self) -> None:
        errors = []
        for reader in self._readers:
            try:
                reader(self.path)
            except FaceIDError as error:
                errors.append(error)
        if len(errors) == len(self._readers):
            raise errors[0]

    def left(self) -> set[Path]:
        home = paths.home()
        found = {*self.path.parent.iterdir(), *(home.rglob("*") if home.exists() else ())}
        return {file for file in found if file not in (home, self.path, paths.fingerprints_file())}

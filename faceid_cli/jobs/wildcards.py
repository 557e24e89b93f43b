"""Files of values that `__file__` stands for. The package dynamicprompts leaves out the letters that it cannot read."""

from __future__ import annotations

from pathlib import Path

from dynamicprompts.utils import is_empty_line
from dynamicprompts.wildcards import WildcardManager
from dynamicprompts.wildcards.collection import WildcardCollection, WildcardTextFile

from faceid_cli.errors import UsageError
from faceid_cli.jobs.rows import text_of


class _Lines(WildcardCollection):
    """A file with a value a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_values(self) -> list[str]:
        """Its values. Raises UsageError where it cannot be read as UTF-8."""
        try:
            text = text_of(self._path, self._path.read_bytes())
        except OSError as error:
            raise UsageError(f"cannot read {self._path}: {error.strerror}", "check who may read it") from error
        return [line.strip() for line in text.splitlines() if not is_empty_line(line)]


def wildcards_in(folder: Path | None) -> WildcardManager:
    """The files of a folder, each of which is read, and refused, where a prompt mentions it."""
    manager = WildcardManager(folder)
    if folder is not None:
        files = [name for name, found in manager.tree.map.items() if isinstance(found, WildcardTextFile)]
        manager.tree.map.update({name: _Lines(folder / f"{name}.txt") for name in files})
    return manager

"""Which pictures are there already: by the registry, and by what the files say of themselves."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from faceid_cli.errors import PhotoError
from faceid_cli.kept.remote import files_below, is_remote, whole_path
from faceid_cli.orders.rendering import SUFFIXES
from faceid_cli.registry.requests import requests_below
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.metadata import read_metadata

REJECTED = "rejected"
"""Folder beside the pictures for those that were not like the person."""


class Already:
    """Finds pictures by the hash of what was asked for, see `jobs.requests`.

    A picture counts where it is wanted alone: below the folder that all pictures go to. What the registry does not know
    is read from the files beside the wanted one, so that pictures that were copied here with their folder count, too.
    """

    def __init__(self) -> None:
        self._elsewhere: dict[Path, dict[Path, None]] = {}
        """Files of places that are no folders of this machine: those are asked once."""
        self._found: dict[str, Path] = {}
        self._recorded: set[Path] = set()
        self._roots: set[Path] = set()
        self._folders: set[Path] = set()

    def find(self, request: str, target: Path, root: Path) -> Path | None:
        """The picture of a request, or None.

        Args:
            request: The hash.
            target: Where it would go.
            root: The folder that all pictures of the batch go to.
        """
        self._look(target, root)
        path = self._found.get(request)
        return path if path is not None and self._exists(path, root) else None

    def add(self, request: str, path: Path) -> None:
        """Know of a picture that has been written."""
        self._found[request] = path
        for known in self._elsewhere.values():
            known[path] = None

    def _look(self, target: Path, root: Path) -> None:
        if root not in self._roots:
            self._roots.add(root)
            with Registry.open(create=False) as registry:
                recorded = requests_below(registry, root)
            self._recorded |= set(recorded)
            # Told as the user called the folder.
            paths = {root / path.relative_to(whole_path(root)): request for path, request in recorded.items()}
            self._found |= {request: path for path, request in paths.items() if request and self._exists(path, root)}
        for folder in (target.parent, target.parent / REJECTED):
            if folder not in self._folders:
                self._folders.add(folder)
                self._read(folder, root)

    def _exists(self, path: Path, root: Path) -> bool:
        return path in self._below(root) if is_remote(path) else path.exists()

    def _below(self, root: Path) -> dict[Path, None]:
        if root not in self._elsewhere:
            self._elsewhere[root] = dict.fromkeys(files_below(root))
        return self._elsewhere[root]

    def _read(self, folder: Path, root: Path) -> None:
        if is_remote(folder):
            files = [path for path in self._below(root) if path.parent == folder]
        else:
            files = sorted(folder.glob("*"))
        for path in files:
            if path.suffix.lower() not in SUFFIXES or whole_path(path) in self._recorded:
                continue
            with suppress(PhotoError, OSError):
                metadata = read_metadata(path)
                if metadata is not None and metadata.request:
                    self._found.setdefault(metadata.request, path)

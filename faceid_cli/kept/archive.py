"""Archives: a ZIP file with a list of what is in it, and the SHA-256 of each. Backups, and bundles of people.

A file from elsewhere is not trusted: nothing is unpacked under a name that it chooses, nothing is read beyond the size
that the list says, and nothing of it is used before all of it is found right. Nothing in it can run.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceid_cli.errors import BackupFileError, FaceIDError, OutputError
from faceid_cli.kept.files import make_folder, replacing
from faceid_cli.kept.foreign import parse_json

REGISTRY, SETTINGS = "registry.db", "config.json"
_LIST = "manifest.json"
_MAX_LIST_BYTES = 512 * 2**20
_PIECE = 2**20
_ID = "[0-9a-f]{1,32}"
# Every name that may be in an archive. None of them leads anywhere but where it says.
_NAMES = re.compile(
    rf"{REGISTRY}|{SETTINGS}|identities/{_ID}\.safetensors|material/{_ID}/[A-Za-z0-9][A-Za-z0-9_-]*\.[a-z]{{3,4}}"
)
_MANY = 2**62


@dataclass(frozen=True)
class Kind:
    """A kind of archive.

    Attributes:
        format: What its list calls it.
        version: Of its layout; higher ones are refused.
        names: What its files may be called, relative to its root.
        needed: A file that is always there.
        error: Raised for one that cannot be used.
        noun: What it is, in messages.
        nothing: What has not happened then.
        most_bytes: All its files may have together.
        most_files: It may have.
        most_list_bytes: Its list may have.
    """

    format: str
    version: int
    names: re.Pattern[str]
    needed: str
    error: type[FaceIDError]
    noun: str
    nothing: str
    most_bytes: int = _MANY
    most_files: int = _MANY
    most_list_bytes: int = _MAX_LIST_BYTES

    def damaged(self, path: Path, why: str) -> FaceIDError:
        """The error for an archive that cannot be used."""
        return self.error(f"{path} is no {self.noun} of faceid, or a damaged one: {why}", self.nothing)


BACKUP = Kind("faceid-backup", 1, _NAMES, REGISTRY, BackupFileError, "backup", "nothing has been restored")

OnFile = Callable[[int, int], None]
"""Told (files done, files in all)."""


def is_archivable(name: str) -> bool:
    """Whether a file of this name, relative to the home, may be in an archive."""
    return _NAMES.fullmatch(name) is not None


def write_archive(
    path: Path, files: Iterable[tuple[str, Path | bytes]], on_file: OnFile | None = None, kind: Kind = BACKUP
) -> None:
    """Write an archive, whole or not at all; only its owner may read it.

    Args:
        path: Of the archive; what is there is written over.
        files: Names in the archive, and where they are read, or what is in them.
        on_file: See there.
        kind: Which one.

    Raises:
        OutputError: It cannot be written, or one of the files cannot be read.
    """
    entries: dict[str, dict[str, Any]] = {}
    todo = list(files)
    with replacing(path) as scratch:
        with zipfile.ZipFile(scratch, "x") as archive:
            scratch.chmod(0o600)
            for number, (name, file) in enumerate(todo, start=1):
                entries[name] = _add(archive, name, file)
                if on_file is not None:
                    on_file(number, len(todo))
            contents = {"format": kind.format, "version": kind.version, "files": entries}
            _add_bytes(archive, _LIST, json.dumps(contents, sort_keys=True).encode())
        with scratch.open("r+b") as written:  # Windows brings nothing to the disk of what is open for reading alone
            os.fsync(written.fileno())


def read_archive(path: Path, folder: Path, on_file: OnFile | None = None, kind: Kind = BACKUP) -> list[str]:
    """Check an archive and unpack it into an empty folder.

    Args:
        path: The archive.
        folder: Where its files go; nothing is written elsewhere.
        on_file: See there.
        kind: Which one it has to be.

    Returns:
        The names of the files.

    Raises:
        FaceIDError: Of the kind's class: no such archive, a damaged one, or one that no faceid has written.
        OutputError: There is less free space than the archive needs.
        OSError: It cannot be unpacked, for instance because the disk is full.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _listed(path, archive, kind)
            size = sum(entry["bytes"] for entry in entries.values())
            if size > shutil.disk_usage(folder).free:
                raise OutputError(f"{path} holds {size} bytes, for which there is no space", "free some disk space")
            for number, (name, entry) in enumerate(entries.items(), start=1):
                _unpack(path, archive, name, entry, folder / name, kind)
                if on_file is not None:
                    on_file(number, len(entries))
            return list(entries)
    except FaceIDError:
        raise
    except Exception as error:  # readers of archives raise nearly anything, and all of it means the same
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that is a place before the file's beginning
            raise
        raise kind.damaged(path, str(error)) from error


def damaged(path: Path, why: str) -> FaceIDError:
    """The error for a backup that cannot be used."""
    return BACKUP.damaged(path, why)


def _add(archive: zipfile.ZipFile, name: str, file: Path | bytes) -> dict[str, Any]:
    content = file if isinstance(file, bytes) else file.read_bytes()
    _add_bytes(archive, name, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _add_bytes(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Pictures and embeddings do not get smaller. The date is always the same: files tell when people were learned."""
    kind = zipfile.ZIP_DEFLATED if name in (REGISTRY, _LIST) else zipfile.ZIP_STORED
    archive.writestr(zipfile.ZipInfo(name), content, kind)


def _listed(path: Path, archive: zipfile.ZipFile, kind: Kind) -> dict[str, dict[str, Any]]:
    """What is in an archive, checked: names, sizes and that nothing else is there."""
    try:
        info = archive.getinfo(_LIST)
        if info.file_size > kind.most_list_bytes:
            raise kind.damaged(path, "its list is too long")
        with archive.open(info) as file:
            found = parse_json(file.read(info.file_size + 1))
        if found["format"] != kind.format:
            raise kind.damaged(path, "it is of another format")
        if not isinstance(found["version"], int) or found["version"] > kind.version:
            raise kind.error(f"{path} was written by a newer faceid", "install a newer faceid")
        files = found["files"].items()
        entries: dict[str, dict[str, Any]] = {
            str(name): {"sha256": str(each["sha256"]), "bytes": int(each["bytes"])} for name, each in files
        }
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise kind.damaged(path, "it has no list of what is in it") from error
    names = [info.filename for info in archive.infolist()]
    if len(set(names)) != len(names) or set(names) != {*entries, _LIST}:
        raise kind.damaged(path, "its list does not say what is in it")
    if kind.needed not in entries or not all(kind.names.fullmatch(name) is not None for name in entries):
        raise kind.damaged(path, "there are files in it that faceid does not keep")
    if len(entries) > kind.most_files or sum(entry["bytes"] for entry in entries.values()) > kind.most_bytes:
        raise kind.damaged(path, "there is more in it than there can be")
    for name, entry in entries.items():
        if archive.getinfo(name).file_size != entry["bytes"]:
            raise kind.damaged(path, f"{name} is of another size than its list says")
    return entries


def _unpack(path: Path, archive: zipfile.ZipFile, name: str, entry: dict[str, Any], target: Path, kind: Kind) -> None:
    digest, left = hashlib.sha256(), entry["bytes"]
    make_folder(target.parent)
    with archive.open(name) as packed, target.open("xb") as file:
        while piece := packed.read(min(_PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            file.write(piece)
    if left != 0 or digest.hexdigest() != entry["sha256"]:
        raise kind.damaged(path, f"{name} is not as it was written")

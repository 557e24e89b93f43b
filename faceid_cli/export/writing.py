"""Folders for other programs: written beside their place, read back there, and moved into it whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

from faceid_cli.errors import OutputError
from faceid_cli.export.targets import Package
from faceid_cli.kept.foreign import parse_json

LIST = "faceid-export.json"
"""Says in an exported folder which files faceid has written there, so that it replaces no others."""
_FORMAT = "faceid-export"


def write_folder(package: Package, folder: Path, target: str, replace: bool) -> None:
    """Write a package into a folder that is new, or empty, or holds an earlier export and nothing else.

    Args:
        package: The files.
        folder: Where they go.
        target: For whom they are.
        replace: Whether an earlier export gives way.

    Raises:
        OutputError: Something else is there, or it cannot be written; what was there is left as it was.
    """
    check_free(folder, replace)
    files = {**package.files, LIST: _list(package, target)}
    with _scratch(folder) as scratch:
        for name, content in files.items():
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        package.check(scratch)
        check_free(folder, replace)
        if folder.exists():
            old = scratch.with_name(f"{scratch.name}-old")
            os.replace(folder, old)
            try:
                os.replace(scratch, folder)
            except OSError:
                os.replace(old, folder)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(scratch, folder)


def check_free(folder: Path, replace: bool) -> None:
    """Check that an export may be written to a folder.

    Raises:
        OutputError: It may not.
    """
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"cannot write {folder}: there is no folder {folder.parent}", "make the folder first")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"cannot write {folder}: it is no folder", "give another name with -o")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if not there:
        return
    strange = sorted(there - {LIST} - _written(folder))
    if strange:
        raise OutputError(f"{folder} holds files that are no export: {strange[0]}", "give a new folder with -o")
    if not replace:
        raise OutputError(f"{folder} exists already", "give another name with -o, or --replace to write over it")


def _written(folder: Path) -> set[str]:
    """What an earlier export has written and nobody has changed since."""
    try:
        content = parse_json((folder / LIST).read_bytes())
        if content["format"] != _FORMAT:
            return set()
        return {
            name
            for name, digest in dict(content["files"]).items()
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        }
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _list(package: Package, target: str) -> bytes:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(package.files.items())}
    return json.dumps({"format": _FORMAT, "to": target, "files": digests}, indent=1).encode() + b"\n"


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    scratch = None
    try:
        scratch = Path(mkdtemp(prefix=".faceid-export-", dir=folder.absolute().parent))
        scratch.chmod(0o755)
        yield scratch
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}", "choose another place") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)

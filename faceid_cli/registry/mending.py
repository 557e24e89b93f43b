"""What `faceid doctor --fix` mends: what was begun, what is open to others, and what belongs to nobody."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from faceid_cli.kept import paths
from faceid_cli.kept.files import old_scratches
from faceid_cli.kept.locks import locked
from faceid_cli.kept.material import stray_material
from faceid_cli.registry.forgetting import half_backups
from faceid_cli.registry.journal import Entry, Journal
from faceid_cli.registry.recovery import Finished, finish
from faceid_cli.registry.store import Registry


def unfinished(registry: Registry) -> list[Entry]:
    """Changes that have stopped half-way and could not be finished, or are just being made."""
    return Journal(registry.file).entries()


def finish_begun(registry: Registry) -> list[Finished]:
    """Finish what processes that have died had begun, also where that went wrong before."""
    if registry.file is None:
        return []
    return [*registry.finished, *finish(registry.file, registry.embeddings_dir, with_left=True)]


def lost_files(registry: Registry) -> list[Path]:
    """Files and folders of the home that belong to nobody, and leftovers of writing."""
    if registry.file is None:
        return []
    strays, material = registry.strays(), stray_material(())
    known = registry.known_ids()  # asked for after what lies there was listed: somebody may be kept meanwhile
    with locked(registry.file.with_name(f"{registry.file.name}.lock")) as is_ours:
        half = half_backups(registry.file) if is_ours else []
    material = [path for path in material if path.name not in known]
    return sorted({*strays, *material, *half, *old_scratches(paths.home(), below=True)})


def delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it.

    Raises:
        OSError: It cannot be deleted.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_open(path: Path) -> bool:
    """Whether others than its owner can do anything with a file or folder; never on Windows, which has other means."""
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def make_home_private() -> int:
    """Let only the owner read the home and all that is in it; returns how many files and folders that changed."""
    changed = 0
    for path in (paths.home(), *paths.home().rglob("*")):
        if not path.is_symlink() and is_open(path):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
            changed += 1
    return changed

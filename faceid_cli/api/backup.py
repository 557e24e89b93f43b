"""Everything that faceid keeps of people in one file, and back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faceid_cli.errors import BackupFileError, FaceIDError, OutputError
from faceid_cli.kept import paths
from faceid_cli.kept.archive import REGISTRY, SETTINGS, OnFile, is_archivable, read_archive, write_archive
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.kept.material import material_folder
from faceid_cli.orders.checks import check_output, user_path
from faceid_cli.registry.backup import check_copy, copy_registry, take_in
from faceid_cli.registry.engine import plain_errors
from faceid_cli.registry.journal import Journal
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity, OnNote


@dataclass(frozen=True)
class Backup:
    """A backup that was written.

    Attributes:
        path: The file.
        people: Who is in it.
        missing: Who is not, because their embedding is missing or damaged.
    """

    path: Path
    people: tuple[Identity, ...]
    missing: tuple[str, ...]


def backup(file: Path | str, *, replace: bool = False, on_file: OnFile | None = None) -> Backup:
    """Write everybody who is enrolled to one file: embeddings, crops, reports, runs, records of pictures, and settings.

    Pictures, base models, helper weights and interrupted enrolments are not in it, and nothing of who was removed.

    Args:
        file: Of any name; only its owner may read it.
        replace: Write over an existing file.
        on_file: Called with (files done, files in all).

    Raises:
        OutputError: It cannot be written there, or something is there already.
        RegistryError: The registry cannot be read.
    """
    path = user_path(check_output(file))
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder", "give the name of a file")
    if path.exists() and not replace:
        raise OutputError(f"{path} exists already", "give another name, or --replace to write over it")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}", "make the folder first")
    with Registry.open() as registry:
        registry.check_writable()
        missing = [person for person in registry.list() if not _is_whole(person)]
        with Journal(registry.file).stage() as folder:
            people = copy_registry(registry, folder / REGISTRY, [person.id for person in missing])
            write_archive(path, _files(folder / REGISTRY, people), on_file)
    return Backup(path, tuple(people), tuple(person.name for person in missing))


def restore(
    file: Path | str, *, replace: bool = False, on_file: OnFile | None = None, on_note: OnNote | None = None
) -> list[Identity]:
    """Take everybody in who is in a backup, as they were then: all of them, or nobody where anything is wrong.

    Whoever else is enrolled stays.

    Args:
        file: What `backup` wrote. All of it is checked first, and nothing in it can run.
        replace: Whether people who have the name of somebody in the backup give way.
        on_file: Called with (files done, files in all).
        on_note: Called with a line worth telling the user.

    Returns:
        Who was taken in.

    Raises:
        BackupFileError: No such file, or a damaged one.
        NameTakenError: Somebody has the name of somebody in the backup.
        RegistryError, OutputError: It cannot be kept.
    """
    path = user_path(file)
    if not path.is_file():
        raise BackupFileError(f"there is no file {path}", "faceid backup writes one")
    with Registry.open() as registry:
        registry.check_writable()
        with plain_errors(registry.file), Journal(registry.file).stage() as folder:
            names = read_archive(path, folder, on_file)
            people = check_copy(path, folder)
            take_in(registry, folder, people, replace)
            if SETTINGS in names:
                _take_settings(folder / SETTINGS, on_note)
        there = {person.name: person for person in registry.list()}
    return [there[person.name] for person in people]


def _is_whole(person: Identity) -> bool:
    try:
        load_identity(person.path)
    except FaceIDError:
        return False
    return True


def _files(registry: Path, people: list[Identity]) -> Iterator[tuple[str, Path]]:
    yield REGISTRY, registry
    if paths.config_file().is_file():
        yield SETTINGS, paths.config_file()
    for person in people:
        yield f"identities/{person.id}.safetensors", person.path
        for file in sorted(material_folder(person.id).glob("*")):
            name = f"material/{person.id}/{file.name}"
            if file.is_file() and is_archivable(name):
                yield name, file


def _take_settings(file: Path, on_note: OnNote | None) -> None:
    """The user's settings, where there are none yet: what somebody has set here is not changed by an old file."""
    if not paths.config_file().exists():
        shutil.copyfile(file, paths.config_file())
        paths.config_file().chmod(0o600)
    elif on_note is not None and file.read_bytes() != paths.config_file().read_bytes():
        on_note("the settings of this machine stay as they are; those of the backup are not taken over")

"""A file to carry a person elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from faceid_cli.errors import IdentityFileError, OutputError, UsageError
from faceid_cli.kept.identity_file import IdentityFile, load_identity, save_identity
from faceid_cli.orders.checks import check_output, user_path
from faceid_cli.registry.sources import without_folders
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity


def export_identity(name: str, output: Path | str | None = None, replace: bool = False) -> Path:
    """Write a person to a safetensors file that `import_identity` reads.

    Args:
        name: An enrolled person.
        output: File or folder; `NAME.safetensors` in the current folder by default.
        replace: Write over an existing file, if that is an identity, too; else nothing is ever written over.

    Raises:
        UnknownNameError: Nobody of that name.
        IdentityFileError: The person's file is missing or damaged.
        OutputError: It cannot be written there, or something is there already.
    """
    return export_identities([name], output, replace)[0][1]


def export_identities(
    names: Sequence[str], output: Path | str | None = None, replace: bool = False
) -> list[tuple[str, Path]]:
    """The same for several people: a file for each, and none at all where it is clear that one could not be written.

    Args:
        names: Enrolled people; who is named twice is written once.
        output: A folder, or for one person a file; the current folder by default.
        replace: As for one.

    Returns:
        Of each person the name, as it is kept, and the file.
    """
    with Registry.open(create=False) as registry:
        people = list({person.id: person for person in map(registry.get, names)}.values())
    where = user_path(check_output(output or "."))
    if len(people) > 1 and not where.is_dir():
        raise UsageError(f"{len(people)} people do not go into one file {where}", "give an existing folder with -o")
    planned = [(person, load_identity(person.path), _target(person, where, replace)) for person in people]
    for person, stored, target in planned:
        _write(person, stored, target)
    return [(person.name, target) for person, _, target in planned]


def _target(person: Identity, where: Path, replace: bool) -> Path:
    target = where / f"{person.name}.safetensors" if where.is_dir() else where
    if target.suffix != ".safetensors":
        raise UsageError(f"cannot export to {target}", "give a folder, or a name that ends in .safetensors")
    if target.exists() and not replace:
        raise OutputError(f"{target} exists already", "give another name with -o, or --replace to write over it")
    if target.exists() and not _is_identity(target):
        raise OutputError(f"{target} is there already, and is no person of faceid", "give another name with -o")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {target}: there is no folder {target.parent}", "make the folder first")
    return target


def _is_identity(file: Path) -> bool:
    try:
        load_identity(file)
    except IdentityFileError:
        return False
    return True


def _write(person: Identity, stored: IdentityFile, target: Path) -> None:
    extra = stored.metadata.extra | {"tags": list(person.tags)}
    if person.consent:
        extra["consent"] = person.consent
    source, method = without_folders(stored.metadata.base_model, stored.metadata.method)
    metadata = dataclasses.replace(
        stored.metadata, name=person.name, note=person.note, base_model=source, method=method, extra=extra
    )
    save_identity(target, stored.keys, stored.values, metadata)

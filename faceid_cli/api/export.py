"""People for other machines and for other programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faceid_cli.errors import FaceIDError, IdentityFileError, OutputError, UsageError
from faceid_cli.export.bundle import BUNDLE, PARTS, SUFFIX, bundle_files, check_parts, read_bundle
from faceid_cli.export.comfyui import comfyui
from faceid_cli.export.diffusers_folder import diffusers_folder
from faceid_cli.export.embeddings import a1111, invokeai, kohya
from faceid_cli.export.native import check_native
from faceid_cli.export.person import Exported
from faceid_cli.export.targets import TARGETS, Choices, Package, Target, find_target
from faceid_cli.export.writing import check_free, write_folder
from faceid_cli.kept.archive import write_archive
from faceid_cli.kept.identity_file import load_identity, save_identity
from faceid_cli.kept.material import material_folder
from faceid_cli.orders.checks import at_least, check_output, user_path
from faceid_cli.orders.kinds import fitted
from faceid_cli.registry.sources import without_folders
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.prompts import place_people
from faceid_cli.types import Identity

_NATIVE = "faceid"
_PACKAGES: dict[str, Callable[[Sequence[Exported], Choices], Package]] = {
    "diffusers": diffusers_folder,
    "comfyui": comfyui,
    "a1111": a1111,
    "invokeai": invokeai,
    "kohya": kohya,
}


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        to: Name of the target.
        people: Names of those who are in it, as they are enrolled.
        path: The file or the folder.
        use: What to do with it, in one line.
        lost: What of the people is not in it.
        notes: What else is worth telling.
    """

    to: str
    people: tuple[str, ...]
    path: Path
    use: str
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def list_targets() -> list[Target]:
    """What people can be exported to, and what each target keeps and loses."""
    return list(TARGETS.values())


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
    names: Sequence[str] | str, output: Path | str | None = None, replace: bool = False
) -> list[tuple[str, Path]]:
    """The same for several people: a file for each, and none at all where it is clear that one could not be written.

    Args:
        names: Enrolled people, one or several; who is named twice is written once.
        output: A folder, or for one person a file; the current folder by default.
        replace: As for one.

    Returns:
        Of each person the name, as it is kept, and the file.
    """
    where = user_path(check_output(output or "."))
    people = portable(names)
    if len(people) > 1 and not where.is_dir():
        raise UsageError(f"{len(people)} people do not go into one file {where}", "give an existing folder with -o")
    planned = [(person, _target(person, where, replace)) for person in people]
    for person, target in planned:
        save_identity(target, person.stored.keys, person.stored.values, person.stored.metadata)
        check_native(target, person)
    return [(person.name, target) for person, target in planned]


def export_to(
    names: Sequence[str] | str,
    to: str,
    output: Path | str | None = None,
    *,
    replace: bool = False,
    lossy: bool = False,
    single: bool = False,
    token: str | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    prompt: str = "",
) -> list[Export]:
    """Write people for another program: a folder with all of them, read back before it is in its place.

    Args:
        names: Enrolled people, one or several.
        to: A target of `list_targets`; "faceid" writes a file each, as `export_identities`.
        output: The folder, new, empty or an earlier export; `NAME-TO` in the current folder by default.
        replace: Whether an earlier export gives way. Nothing else is ever written over.
        lossy: Whether something of the people may be lost.
        single: One token for all stages, where the target has them apart.
        token: Which token stands for keys and values where only one can: "values", "keys" or "mean".
        sampler: That a prompt for AUTOMATIC1111 is made for, such as "DPM++ 2M Karras".
        steps: Sampler steps of that prompt.
        prompt: The example, as for `faceid.generate`.

    Raises:
        UnknownNameError: Nobody of that name.
        UsageError: Something would be lost, and that was not allowed; or the target takes no such people or options.
        IdentityFileError: A person's file is missing or damaged.
        OutputError: It cannot be written there, or something is there already.
    """
    target = find_target(to)
    given = {"single": single or None, "token": token, "sampler": sampler, "steps": steps, "prompt": prompt or None}
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    _check_options(target, said)
    if steps is not None:
        at_least("sampler steps", 1)(steps)
    if to == _NATIVE:
        made = export_identities(names, output, replace)
        return [Export(to, (name,), path, f"on another machine: faceid import {path.name}") for name, path in made]
    people = portable(names)
    for person in people:
        if target.families:
            person.check_family(target.name, target.families)
    where = user_path(check_output(output or f"{'-'.join(person.name for person in people)}-{to}"))
    check_free(where, replace)
    said["prompt"] = place_people(prompt or "in Paris", [person.name for person in people])
    package = _PACKAGES[to](people, Choices(**said))
    if package.lost and not lossy:
        raise UsageError(
            f"{to} cannot hold all of {people[0].name}: {'; '.join(package.lost)}", "give --lossy to export what it can"
        )
    write_folder(package, where, to, replace)
    return [Export(to, tuple(person.name for person in people), where, package.use, package.lost, package.notes)]


def export_bundle(
    names: Sequence[str] | str, file: Path | str, parts: Sequence[str] | str = (), replace: bool = False
) -> Export:
    """Write people with their history to one file that `import_people` reads: tokens, header, consent, training run.

    Args:
        names: Enrolled people, one or several.
        file: Its name ends in ".faceid".
        parts: What else is in it: "crops" (with small copies of the photos), "previews", "scores".
        replace: Write over an earlier bundle; else nothing is ever written over.

    Raises:
        UnknownNameError, IdentityFileError, OutputError: As `export_identity`.
        UsageError: No such part, or another ending.
    """
    parts, target = check_parts(fitted("parts", tuple[str, ...], parts)), user_path(check_output(file))
    if target.suffix != SUFFIX:
        raise UsageError(f"cannot write a bundle to {target}", f"give a name that ends in {SUFFIX}")
    _check_file(target, replace, _is_bundle)
    people = portable(names)
    with Registry.open(create=False) as registry:
        files: list[tuple[str, Path | bytes]] = []
        for number, person in enumerate(people, start=1):
            runs = registry.runs_of(person.name)
            folder = material_folder(registry.get(person.name).id)
            files += bundle_files(number, person, runs[-1].run if runs else None, folder, parts)
        write_archive(target, files, kind=BUNDLE)
    with TemporaryDirectory() as unpacked:
        for person, found in zip(people, read_bundle(target, Path(unpacked)), strict=True):
            if found.stored.digest != person.stored.digest:
                raise OutputError(f"{target} was not written as it should be", "try again, on another disk")
    names = tuple(person.name for person in people)
    lost = tuple(part for part in PARTS if part not in parts)
    left_out = (f"not in it: {', '.join(lost)}; --with {','.join(lost)} puts them in",) if lost else ()
    return Export("bundle", names, target, f"on another machine: faceid import {target.name}", (), left_out)


def portable(names: Sequence[str] | str) -> list[Exported]:
    """People as they leave this machine; who is named twice comes once.

    Raises:
        UnknownNameError, IdentityFileError: As `export_identity`.
    """
    names = fitted("names", tuple[str, ...], names)
    with Registry.open(create=False) as registry:
        people = list({person.id: person for person in map(registry.get, names)}.values())
    return [_portable(person) for person in people]


def _portable(person: Identity) -> Exported:
    stored = load_identity(person.path)
    extra = stored.metadata.extra | {"tags": list(person.tags)}
    if person.consent:
        extra["consent"] = person.consent
    source, method = without_folders(stored.metadata.base_model, stored.metadata.method)
    metadata = dataclasses.replace(
        stored.metadata, name=person.name, note=person.note, base_model=source, method=method, extra=extra
    )
    return Exported(person.name, dataclasses.replace(stored, metadata=metadata))


def _check_options(target: Target, said: Mapping[str, object]) -> None:
    for name in said:
        if name not in target.options:
            takers = [each.name for each in TARGETS.values() if name in each.options]
            raise UsageError(f"--to {target.name} has no --{name}", f"that is for {', '.join(takers)}")
    if "single" in said and (idle := [f"--{name}" for name in ("sampler", "steps") if name in said]):
        what = f"{' and '.join(idle)} {'means' if len(idle) == 1 else 'mean'} nothing beside --single"
        raise UsageError(what, "one token for all stages goes with every sampler and number of steps: leave that out")


def _target(person: Exported, where: Path, replace: bool) -> Path:
    target = where / f"{person.name}.safetensors" if where.is_dir() else where
    if target.suffix != ".safetensors":
        raise UsageError(f"cannot export to {target}", "give a folder, or a name that ends in .safetensors")
    _check_file(target, replace, _is_identity)
    return target


def _check_file(target: Path, replace: bool, is_ours: Callable[[Path], bool]) -> None:
    if target.exists() and not replace:
        raise OutputError(f"{target} exists already", "give another name with -o, or --replace to write over it")
    if target.exists() and not is_ours(target):
        raise OutputError(f"{target} is there already, and is no person of faceid", "give another name with -o")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {target}: there is no folder {target.parent}", "make the folder first")


def _is_bundle(file: Path) -> bool:
    try:
        with TemporaryDirectory() as folder:
            read_bundle(file, Path(folder))
    except (FaceIDError, OSError):
        return False
    return True


def _is_identity(file: Path) -> bool:
    try:
        load_identity(file)
    except IdentityFileError:
        return False
    return True

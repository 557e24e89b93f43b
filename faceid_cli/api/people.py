"""Looking after enrolled people: list, show, rename, remove, and files to carry them elsewhere."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faceid_cli import paths
from faceid_cli.api.base_models import OnNote, options_for, source_of_fingerprint, without_folders
from faceid_cli.api.checkpoints import checkpoint_dir, claimed_run, give_up
from faceid_cli.api.material import material_folder, remove_material
from faceid_cli.errors import IdentityFileError, OutputError, UsageError
from faceid_cli.identity_file import IdentityMetadata, load_identity, save_identity
from faceid_cli.registry.forgetting import scrub
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import NewIdentity, RenderRecord, Run
from faceid_cli.registry.store import Registry, Removed
from faceid_cli.types import Identity


@dataclass(frozen=True)
class Details:
    """Everything the registry knows about a person."""

    identity: Identity
    runs: list[Run]
    renders: list[RenderRecord]


def list_identities(tag: str | None = None) -> list[Identity]:
    """All enrolled people by name, or those with a tag."""
    with Registry.open(create=False) as registry:
        return registry.list(tag)


def show(name: str) -> Details:
    """Everything about a person.

    Raises:
        UnknownNameError: Nobody of that name.
    """
    with Registry.open(create=False) as registry:
        return Details(registry.get(name), registry.runs_of(name), registry.renders_of(name))


def export_identity(name: str, output: Path | str | None = None) -> Path:
    """Write a person to a safetensors file that `import_identity` reads; never over an existing one.

    Args:
        name: An enrolled person.
        output: File or folder; `NAME.safetensors` in the current folder by default.

    Raises:
        UnknownNameError: Nobody of that name.
        IdentityFileError: The person's file is missing or damaged.
        OutputError: It cannot be written there, or something is there already.
    """
    with Registry.open(create=False) as registry:
        person = registry.get(name)
    stored = load_identity(person.path)
    target = Path(output or ".").expanduser()
    if target.is_dir():
        target = target / f"{person.name}.safetensors"
    if target.suffix != ".safetensors":
        raise UsageError(f"cannot export to {target}", "give a folder, or a name that ends in .safetensors")
    if target.exists():
        raise OutputError(f"{target} exists already", "give another name with -o")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {target}: there is no folder {target.parent}", "make the folder first")
    extra = stored.metadata.extra | {"tags": list(person.tags)}
    if person.consent:
        extra["consent"] = person.consent
    source, method = without_folders(stored.metadata.base_model, stored.metadata.method)
    metadata = dataclasses.replace(
        stored.metadata, name=person.name, note=person.note, base_model=source, method=method, extra=extra
    )
    save_identity(target, stored.keys, stored.values, metadata)
    return target


def import_identity(
    file: Path | str,
    *,
    name: str | None = None,
    replace: bool = False,
    tags: Sequence[str] = (),
    note: str = "",
    on_note: OnNote | None = None,
) -> Identity:
    """Take in a person from a file that `export_identity` wrote. The file is checked; nothing in it can run.

    Args:
        file: A safetensors file of faceid.
        name: Another name than the one in the file.
        replace: Whether a person of that name gives way.
        tags: More words to find the person by.
        note: Instead of the note in the file.
        on_note: Called with a line worth telling the user.

    Raises:
        IdentityFileError: Not such a file, or a damaged one.
        InvalidNameError, NameTakenError: The name cannot be used.
    """
    if name is not None:
        check_name(name)
    path = Path(file).expanduser()
    stored = load_identity(path)
    found = stored.metadata
    source = source_of_fingerprint(found.base_model, found.base_fingerprint)
    if source is None and on_note:
        on_note(f"the base model {found.base_model} ({found.base_fingerprint}) is not on this machine: give --model")
    more = found.extra.get("tags", ())
    try:
        new = NewIdentity(
            name=name or found.name,
            class_word=found.class_word,
            base_model=source or found.base_model,
            base_fingerprint=found.base_fingerprint,
            method=found.method,
            photo_hashes=found.photo_hashes,
            tags=tuple(dict.fromkeys([*(str(tag) for tag in more), *tags])),
            note=note or found.note,
            consent=str(found.extra.get("consent", "")),
        )
    except UsageError as error:
        raise IdentityFileError(f"{path} cannot be imported: {error.message}", error.hint) from error

    def write(identity: Identity) -> None:
        save_identity(identity.path, stored.keys, stored.values, metadata_of(new))

    with Registry.open() as registry:
        old = registry.find(new.name) if replace else None
        keep = registry.replace_identity if replace else registry.add_identity
        identity = keep(new, write)
    if old is not None:
        remove_material(old.id)
    added = options_for([identity])
    for option, needed in (("--vae", added.vae), *(("--lora", lora) for lora in added.loras or ())):
        if needed is not None and on_note:
            on_note(f"{identity.name} was learned with {option} {needed}: say where that file is when you render")
    return identity


def rename(name: str, new_name: str) -> Identity:
    """Give a person another name.

    Raises:
        UnknownNameError, InvalidNameError, NameTakenError.
    """
    check_name(new_name)
    with Registry.open(create=False) as registry:
        person = registry.rename(name, new_name)
    # The checkpoint of an interrupted --replace goes with the person; what may lie there has nobody any more.
    old, new = checkpoint_dir(name), checkpoint_dir(new_name)
    if old.exists() and old != new:
        shutil.rmtree(new, ignore_errors=True)
        old.rename(new)
    return person


def remove(name: str) -> Removed:
    """Forget a person: row, embedding, training runs, checkpoints, crops, reports and records of pictures.

    What the registry's file and its backups still hold of them is overwritten. Pictures stay. What could not be
    deleted is in the answer.

    Raises:
        UnknownNameError: Nobody of that name.
    """
    with Registry.open(create=False) as registry:
        removed = registry.remove(name)
        others = {person.id for person in registry.list()}
    gone = removed.identity
    left = scrub(paths.registry_file(), gone.id, gone.name, others)
    shutil.rmtree(checkpoint_dir(name), ignore_errors=True)
    remove_material(gone.id)
    left += [path for path in (checkpoint_dir(name), material_folder(gone.id)) if path.exists()]
    return dataclasses.replace(removed, left=tuple(left))


def is_unfinished(name: str) -> bool:
    """Whether an interrupted enrolment of that name waits to be resumed."""
    return checkpoint_dir(name).is_dir()


def remove_unfinished(name: str) -> None:
    """Forget an interrupted enrolment.

    Raises:
        NameTakenError: It is not interrupted, but at work in another process.
        OutputError: Its folder cannot be deleted.
    """
    with claimed_run(name) as folder:
        give_up(folder)


def _extra(new: NewIdentity) -> dict[str, object]:
    found: dict[str, object] = {"tags": list(new.tags)} if new.tags else {}
    return found | {"consent": new.consent} if new.consent else found


def metadata_of(new: NewIdentity) -> IdentityMetadata:
    """What the file of a person says about itself."""
    return IdentityMetadata(
        name=new.name,
        class_word=new.class_word,
        base_model=new.base_model,
        base_fingerprint=new.base_fingerprint,
        method=new.method,
        photo_hashes=new.photo_hashes,
        note=new.note,
        extra=_extra(new),
    )

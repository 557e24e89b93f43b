"""Taking in a person from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceid_cli.errors import IdentityFileError, UsageError
from faceid_cli.kept.identity_file import load_identity, save_identity
from faceid_cli.orders import ModelOptions
from faceid_cli.orders.checks import user_path
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import NewIdentity
from faceid_cli.registry.sources import source_of_fingerprint
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity, OnNote


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
    path = user_path(file)
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
            num_train_timesteps=found.num_train_timesteps,
        )
    except UsageError as error:
        raise IdentityFileError(f"{path} cannot be imported: {error.message}", error.hint) from error

    def write(identity: Identity) -> None:
        save_identity(identity.path, stored.keys, stored.values, new.metadata())

    with Registry.open() as registry:
        keep = registry.replace_identity if replace else registry.add_identity
        identity = keep(new, write)
    added = ModelOptions.learned(identity.method)
    for option, needed in (("--vae", added.vae), *(("--lora", lora) for lora in added.loras or ())):
        if needed is not None and on_note:
            on_note(f"{identity.name} was learned with {option} {needed}: say where that file is when you render")
    return identity

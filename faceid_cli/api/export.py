"""A file to carry a person elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from faceid_cli.errors import OutputError, UsageError
from faceid_cli.kept.identity_file import load_identity, save_identity
from faceid_cli.orders.checks import check_output
from faceid_cli.registry.sources import without_folders
from faceid_cli.registry.store import Registry


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
    target = check_output(output or ".").expanduser()
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

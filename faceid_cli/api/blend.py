"""A new person between two enrolled ones."""

from __future__ import annotations

from faceid_cli.errors import ModelMismatchError, UsageError
from faceid_cli.kept.identity_file import load_identity, save_identity
from faceid_cli.orders import ModelOptions
from faceid_cli.registry.base_models import shown_source
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import NewIdentity
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity, OnNote


def blend(
    first: str,
    second: str,
    *,
    name: str,
    weight: float = 0.5,
    replace: bool = False,
    note: str = "",
    on_note: OnNote | None = None,
) -> Identity:
    """Keep somebody who is between two enrolled people. Nothing is trained.

    Args:
        first: An enrolled person.
        second: Another one, of the same base model.
        name: Of the new person.
        weight: How much of the second, 0 to 1.
        replace: Whether a person of that name gives way.
        note: Kept with the person; says who the parents are if empty.
        on_note: Called with a line worth telling the user.

    Raises:
        UnknownNameError: Nobody of that name.
        ModelMismatchError: They were learned on different base models, or with other files put into it.
        UsageError: A weight out of range, one person twice, or tokens that do not go together.
        InvalidNameError, NameTakenError: The new name cannot be used.
    """
    check_name(name)
    if not 0 <= weight <= 1:
        raise UsageError(f"the weight is {weight:g}", "use 0 for the first person to 1 for the second")
    with Registry.open(create=False) as registry:
        parents = [registry.get(first), registry.get(second)]
    if parents[0].id == parents[1].id:
        raise UsageError(f"{parents[0].name} is given twice", "name two people")
    _check_models(parents[0], parents[1])
    files = [load_identity(parent.path) for parent in parents]

    from faceid_cli.tokens.blending import blended_side  # brings in torch, which takes seconds

    keys = blended_side(files[0].keys, files[1].keys, weight)
    values = blended_side(files[0].values, files[1].values, weight)
    new = NewIdentity(
        name,
        parents[0].class_word if parents[0].class_word == parents[1].class_word else "person",
        parents[0].base_model,
        parents[0].base_fingerprint,
        {
            **ModelOptions.learned(parents[0].method).kept(),
            "method": "blend",
            "weight": weight,
            "parents": [
                {"name": parent.name, "id": parent.id, "tokens": file.digest}
                for parent, file in zip(parents, files, strict=True)
            ],
        },
        photo_hashes=tuple(dict.fromkeys([*parents[0].photo_hashes, *parents[1].photo_hashes])),
        note=note or f"between {parents[0].name} and {parents[1].name}, {weight:g} of the second",
        consent="; ".join(f"{parent.name}: {parent.consent}" for parent in parents if parent.consent),
    )
    silent = [parent.name for parent in parents if not parent.consent]
    if on_note and silent:
        on_note(f"no consent is kept of {' and '.join(silent)}; {name} carries what there is of the parents'")

    def write(identity: Identity) -> None:
        save_identity(identity.path, keys, values, new.metadata())

    with Registry.open() as registry:
        return (registry.replace_identity if replace else registry.add_identity)(new, write)


def _check_models(first: Identity, second: Identity) -> None:
    if first.base_fingerprint != second.base_fingerprint:
        raise ModelMismatchError(
            f"{first.name} was learned on {shown_source(first.base_model)}, "
            f"{second.name} on {shown_source(second.base_model)}",
            f"enroll one of them again: faceid enroll {second.name} PHOTOS --replace --model {first.base_model}",
        )
    if ModelOptions.learned(first.method).kept() != ModelOptions.learned(second.method).kept():
        raise ModelMismatchError(
            f"{first.name} and {second.name} were learned with other files put into their base model",
            "enroll one of them again with the same --vae and --lora",
        )

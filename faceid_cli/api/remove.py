"""Forgetting: a person, or an enrolment that was never finished.

The registry itself, which takes longer to import than a removal takes, is opened only where a quick look does not do.
"""

from __future__ import annotations

from faceid_cli.kept import paths
from faceid_cli.kept.runs import checkpoint_dir, claimed_run, give_up
from faceid_cli.registry.quick import is_ordinary, quick_identity
from faceid_cli.registry.recovery import Finished
from faceid_cli.registry.removal import Removed, remove_identity


def remove(name: str) -> Removed:
    """Forget a person: row, embedding, training runs, checkpoints, crops, reports and records of pictures.

    What the registry's file and its backups still hold of them is overwritten. Pictures stay. What could not be
    deleted is in the answer. A removal that stops half-way is finished by the next command.

    Raises:
        UnknownNameError: Nobody of that name.
    """
    identity = quick_identity(name) if is_ordinary() else None
    if identity is not None:
        return remove_identity(paths.registry_file(), paths.identities_dir(), identity)
    from faceid_cli.registry.store import Registry

    with Registry.open(create=False) as registry:
        return registry.remove(name)


def finish_removal(name: str) -> Finished | None:
    """Finish what is left of the removal of a person, if one stopped half-way; None where there is none."""
    if is_ordinary():
        return None
    from faceid_cli.registry.store import Registry

    with Registry.open(create=False) as registry:
        return registry.finish_removal(name)


def name_of(name: str) -> str:
    """The name of a person as it was enrolled, whatever the case.

    Raises:
        UnknownNameError: Nobody of that name.
    """
    identity = quick_identity(name)
    if identity is not None:
        return identity.name
    from faceid_cli.registry.store import Registry

    with Registry.open(create=False) as registry:
        return registry.get(name).name


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

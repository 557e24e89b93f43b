"""Forgetting: a person, or an enrolment that was never finished."""

from __future__ import annotations

import dataclasses
import shutil

from faceid_cli.kept import paths
from faceid_cli.kept.material import material_folder, remove_material
from faceid_cli.kept.runs import checkpoint_dir, claimed_run, give_up
from faceid_cli.registry.forgetting import scrub
from faceid_cli.registry.store import Registry, Removed


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

"""Another name for a person."""

from __future__ import annotations

import shutil

from faceid_cli.kept.runs import checkpoint_dir
from faceid_cli.registry.names import check_name
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity


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

"""Another name for a person."""

from __future__ import annotations

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
        return registry.rename(name, new_name)

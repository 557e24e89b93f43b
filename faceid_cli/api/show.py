"""Everything about one person."""

from __future__ import annotations

from dataclasses import dataclass

from faceid_cli.registry.records import RenderRecord, Run
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity


@dataclass(frozen=True)
class Details:
    """Everything the registry knows about a person."""

    identity: Identity
    runs: list[Run]
    renders: list[RenderRecord]


def show(name: str) -> Details:
    """Everything about a person.

    Raises:
        UnknownNameError: Nobody of that name.
    """
    with Registry.open(create=False) as registry:
        return Details(registry.get(name), registry.runs_of(name), registry.renders_of(name))

"""Who is enrolled."""

from __future__ import annotations

from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity


def list_identities(tag: str | None = None) -> list[Identity]:
    """All enrolled people by name, or those with a tag."""
    with Registry.open(create=False) as registry:
        return registry.list(tag)

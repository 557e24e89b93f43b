"""Who is enrolled."""

from __future__ import annotations

from faceid_cli.registry.quick import quick_identities, quick_names_of_sources
from faceid_cli.types import Identity


def list_identities(tag: str | None = None) -> list[Identity]:
    """All enrolled people by name, or those with a tag."""
    found = quick_identities()
    if found is None:
        # This brings in SQLModel, which takes longer than the list.
        from faceid_cli.registry.store import Registry

        with Registry.open(create=False) as registry:
            found = registry.list()
    return [identity for identity in found if tag is None or tag in identity.tags]


def names_of_base_models() -> dict[str, str]:
    """Names of base models by what they stand for."""
    found = quick_names_of_sources()
    if found is None:
        from faceid_cli.registry.base_models import names_of_sources

        found = names_of_sources()
    return found

"""What the user writes down about a person after they were learned: tags and a note."""

from __future__ import annotations

from collections.abc import Sequence

from faceid_cli.orders.kinds import fitted
from faceid_cli.registry.records import check_tags
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity, OnNote


def tag(name: str, tags: Sequence[str] | str, *, remove: bool = False, on_note: OnNote | None = None) -> Identity:
    """Give a person tags, or take them away.

    Args:
        name: An enrolled person.
        tags: Words to find them by, one or several; what they have already, or have not, changes nothing.
        remove: Whether the tags go.
        on_note: Called with a line worth telling the user.

    Raises:
        UnknownNameError: Nobody of that name.
        UsageError: Not a tag.
    """
    tags = fitted("tags", tuple[str, ...], tags)
    check_tags(tags)
    with Registry.open(create=False) as registry:
        own = registry.get(name).tags
        if remove and on_note and (missing := [each for each in tags if each not in own]):
            on_note(f"{name} had no tag {', '.join(missing)}")
        kept = [each for each in own if each not in tags] if remove else [*own, *tags]
        return registry.describe(name, tags=tuple(dict.fromkeys(kept)))


def note(name: str, text: str) -> Identity:
    """Keep a note with a person, in the place of the one before.

    Args:
        name: An enrolled person.
        text: The note; "" for none.

    Raises:
        UnknownNameError: Nobody of that name.
    """
    with Registry.open(create=False) as registry:
        return registry.describe(name, note=text)

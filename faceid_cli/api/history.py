"""What was rendered, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faceid_cli.errors import UsageError
from faceid_cli.registry.history import find_renders
from faceid_cli.registry.records import RenderRecord
from faceid_cli.registry.store import Registry


@dataclass(frozen=True)
class Made:
    """A picture that was rendered.

    Attributes:
        record: What the registry knows of it.
        names: Who is in it, in the order of the prompt.
        is_there: Whether its file is still where it was written.
    """

    record: RenderRecord
    names: tuple[str, ...]
    is_there: bool


def history(words: str | Sequence[str] = (), person: str | None = None, limit: int | None = None) -> list[Made]:
    """Look for pictures that were rendered.

    Args:
        words: Each of them is in the prompt, the file's path or somebody's name; a text is taken apart into its words.
        person: Somebody who is in them; None for anybody.
        limit: The most; None for all.

    Raises:
        UnknownNameError: Nobody of that name.
        UsageError: A limit below 1.
        RegistryError: The registry cannot be read.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be 1 or more, not {limit}")
    sought = words.split() if isinstance(words, str) else [part for word in words for part in word.split()]
    with Registry.open(create=False) as registry:
        person_id = None if person is None else registry.get(person).id
        found = find_renders(registry, sought, person_id, limit)
        names = {each.id: each.name for each in registry.list()} if found else {}
    return [
        Made(record, tuple(names[each] for each in record.render.identity_ids if each in names), _is_there(record))
        for record in found
    ]


def _is_there(record: RenderRecord) -> bool:
    try:
        return record.render.path.is_file()
    except (OSError, ValueError):  # a drive that has gone, a name that cannot be
        return False

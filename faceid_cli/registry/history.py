"""Looking for pictures that were rendered: by words, by person, and by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col, or_, select

from faceid_cli.registry.records import RenderRecord
from faceid_cli.registry.rows import render_from
from faceid_cli.registry.store import Registry
from faceid_cli.registry.tables import IdentityRow, RenderPersonRow, RenderRow


def find_renders(
    registry: Registry, words: Sequence[str] = (), person_id: str | None = None, limit: int | None = None
) -> list[RenderRecord]:
    """Pictures, newest first.

    Args:
        registry: The open registry.
        words: Each of them is in the prompt, in the file's path or in the name of somebody in the picture; upper and
            lower case do not matter.
        person_id: Somebody who is in them; None for anybody.
        limit: The most; None for all.
    """
    query = select(RenderRow).order_by(col(RenderRow.id).desc())
    if person_id is not None:
        query = query.where(col(RenderRow.id).in_(_with_person(RenderPersonRow.identity_id == person_id)))
    for word in words:
        query = query.where(_mentions(word))
    if limit is not None:
        query = query.limit(limit)
    with registry._session(read_only=True) as session:
        return [render_from(session, row) for row in session.exec(query)]


def render_with_pixels(registry: Registry, seed: int, pixels: str) -> RenderRecord | None:
    """The newest picture of a seed with these pixels, by their digest; None if there is none."""
    query = select(RenderRow).where(RenderRow.seed == seed).order_by(col(RenderRow.id).desc())
    with registry._session(read_only=True) as session:
        for row in session.exec(query):
            if pixels and isinstance(row.settings, dict) and row.settings.get("pixels") == pixels:
                return render_from(session, row)
    return None


def _with_person(condition: ColumnElement[bool] | bool) -> Any:
    """Ids of pictures with somebody of whom that is true."""
    return (
        select(RenderPersonRow.render_id)
        .join(IdentityRow, col(IdentityRow.id) == col(RenderPersonRow.identity_id))
        .where(condition)
    )


def _mentions(word: str) -> ColumnElement[bool]:
    named = _with_person(col(IdentityRow.name).icontains(word, autoescape=True))
    return or_(
        col(RenderRow.prompt).icontains(word, autoescape=True),
        col(RenderRow.path).icontains(word, autoescape=True),
        col(RenderRow.id).in_(named),
    )

"""What the registry knows of pictures by what was asked for: what is there already, and how long pictures take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, case, func
from sqlmodel import col, select

from faceid_cli.kept.remote import whole_path
from faceid_cli.registry.damage import number_from
from faceid_cli.registry.store import Registry
from faceid_cli.registry.tables import RenderRow

_LAST = 200


def requests_below(registry: Registry, folder: Path) -> dict[Path, str]:
    """Requests of the pictures that were written anywhere below a folder, by path; those without one have ""."""
    start = f"{whole_path(folder)}/".replace("//", "/")
    request = _setting("request")
    with registry._session(read_only=True) as session:
        query = select(RenderRow.path, request).where(col(RenderRow.path).between(start, f"{start}\U0010ffff"))
        rows = session.exec(query).all()
    return {Path(path): found if isinstance(found, str) else "" for path, found in rows if isinstance(path, str)}


def forget_pictures(registry: Registry, path: Path) -> None:
    """Forget what was recorded of a file that is another picture now."""
    with registry._session() as session:
        for row in session.exec(select(RenderRow).where(RenderRow.path == str(path))).all():
            session.delete(row)


def seconds_per_step(registry: Registry, fingerprint: str) -> float | None:
    """Seconds that a sampler step of one picture took lately on a base model; None where that is not known."""
    steps, seconds, of = map(_setting, ("steps", "seconds", "base_fingerprint"))
    with registry._session(read_only=True) as session:
        query = select(seconds, steps).where(of == fingerprint, seconds.is_not(None))
        found = session.exec(query.order_by(col(RenderRow.id).desc()).limit(_LAST)).all()
    paces = [number_from(took) / number_from(count) for took, count in found if number_from(count) > 0]
    return sum(paces) / len(paces) if paces else None


def _setting(name: str) -> ColumnElement[Any]:
    """A setting of a picture; None where the row is damaged."""
    is_whole = func.json_valid(RenderRow.settings) == 1
    return case((is_whole, func.json_extract(RenderRow.settings, f"$.{name}")), else_=None)

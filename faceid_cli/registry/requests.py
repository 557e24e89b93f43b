"""What the registry knows of pictures by what was asked for: what is there already, and how long pictures take."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func
from sqlmodel import col, select

from faceid_cli.registry.store import Registry
from faceid_cli.registry.tables import RenderRow

_LAST = 200


def requests_below(registry: Registry, folder: Path) -> dict[Path, str]:
    """Requests of the pictures that were written anywhere below a folder, by path; those without one have ""."""
    start = f"{folder.absolute()}/".replace("//", "/")
    request = func.json_extract(RenderRow.settings, "$.request")
    with registry._session(read_only=True) as session:
        query = select(RenderRow.path, request).where(col(RenderRow.path).between(start, f"{start}\U0010ffff"))
        return {Path(path): found or "" for path, found in session.exec(query).all()}


def forget_pictures(registry: Registry, path: Path) -> None:
    """Forget what was recorded of a file that is another picture now."""
    with registry._session() as session:
        for row in session.exec(select(RenderRow).where(RenderRow.path == str(path))).all():
            session.delete(row)


def seconds_per_step(registry: Registry, fingerprint: str) -> float | None:
    """Seconds that a sampler step of one picture took lately on a base model; None where that is not known."""
    steps, seconds, of = (
        func.json_extract(RenderRow.settings, f"$.{name}") for name in ("steps", "seconds", "base_fingerprint")
    )
    with registry._session(read_only=True) as session:
        query = select(seconds, steps).where(of == fingerprint, seconds.is_not(None))
        found = session.exec(query.order_by(col(RenderRow.id).desc()).limit(_LAST)).all()
    return sum(took / count for took, count in found) / len(found) if found else None

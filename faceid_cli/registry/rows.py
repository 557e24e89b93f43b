"""Rows of the tables, from and to the records that the rest of faceid sees, and the errors about names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from uuid import uuid4

from sqlalchemy import delete
from sqlmodel import Session, col, select

from faceid_cli.errors import NameTakenError, UnknownNameError
from faceid_cli.registry.damage import losses_from, number_from, table_from
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun, RenderRecord, Run
from faceid_cli.registry.tables import IdentityRow, RenderPersonRow, RenderRow, RunRow


def name_taken(name: str, hint: str = "choose another name, or give --replace to replace it") -> NameTakenError:
    """The error for a name that somebody has."""
    return NameTakenError(f"{name} is enrolled already", hint)


def unknown_name(name: str, known: Sequence[str]) -> UnknownNameError:
    """The error for a name that nobody has, with the nearest ones."""
    by_key = {entry.lower(): entry for entry in known}
    near = [by_key[key] for key in get_close_matches(name.lower(), by_key, n=3)]
    if near:
        return UnknownNameError(f"no identity is called {name!r}", f"did you mean {' or '.join(near)}?")
    return UnknownNameError(f"no identity is called {name!r}", "`faceid list` shows the names")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def identity_row(new: NewIdentity) -> IdentityRow:
    """The row of a new identity, with a new id."""
    return IdentityRow(
        id=uuid4().hex,
        name=new.name,
        class_word=new.class_word,
        base_model=new.base_model,
        base_fingerprint=new.base_fingerprint,
        method=new.method,
        photo_hashes=list(new.photo_hashes),
        created=now(),
        tags=list(new.tags),
        note=new.note,
        consent=new.consent,
    )


def run_row(identity_id: str, run: NewRun) -> RunRow:
    """The row of a training run."""
    return RunRow(
        identity_id=identity_id,
        created=now(),
        seconds=run.seconds,
        resumed_from=run.resumed_from,
        settings=run.settings,
        losses=[[reconstruction, attention] for reconstruction, attention in run.losses],
        scores=run.scores,
    )


def run_from(row: RunRow) -> Run:
    """The training run of a row."""
    assert row.id is not None
    scores = {key: value for key, value in table_from(row.scores).items() if isinstance(value, int | float)}
    seconds, resumed_from = number_from(row.seconds), int(number_from(row.resumed_from))
    run = NewRun(table_from(row.settings), losses_from(row.losses), seconds, resumed_from, scores)
    return Run(row.id, str(row.created), run)


def renders_with(session: Session, identity_id: str) -> list[RenderRecord]:
    """Pictures that a person is in, oldest first."""
    ids = select(RenderPersonRow.render_id).where(RenderPersonRow.identity_id == identity_id)
    records = []
    for row in session.exec(select(RenderRow).where(col(RenderRow.id).in_(ids)).order_by(col(RenderRow.id))):
        assert row.id is not None
        people = session.exec(
            select(RenderPersonRow.identity_id)
            .where(RenderPersonRow.render_id == row.id)
            .order_by(col(RenderPersonRow.position))
        ).all()
        settings, seed = table_from(row.settings), int(number_from(row.seed))
        new = NewRender(tuple(map(str, people)), Path(str(row.path)), str(row.prompt), seed, settings)
        records.append(RenderRecord(row.id, str(row.created), new))
    return records


def delete_identity(session: Session, row: IdentityRow) -> None:
    """Delete an identity and the renders it is in; runs and links follow through their foreign keys."""
    ids = select(RenderPersonRow.render_id).where(RenderPersonRow.identity_id == row.id)
    session.execute(delete(RenderRow).where(col(RenderRow.id).in_(ids)))
    session.execute(delete(IdentityRow).where(col(IdentityRow.id) == row.id))
    session.expunge(row)

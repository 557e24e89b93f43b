"""Rows of the tables, from and to the records that the rest of faceid sees, and the errors about names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from faceid_cli.errors import NameTakenError, UnknownNameError
from faceid_cli.registry.damage import losses_from, number_from, table_from
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun, RenderRecord, Run
from faceid_cli.registry.tables import IdentityRow, RenderPersonRow, RenderRow, RunRow


def name_taken(name: str, hint: str = "choose another name, or give --replace to replace it") -> NameTakenError:
    """The error for a name that somebody has."""
    return NameTakenError(f"{name} is enrolled already", hint)


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
    rows = session.exec(select(RenderRow).where(col(RenderRow.id).in_(ids)).order_by(col(RenderRow.id)))
    return [render_from(session, row) for row in rows]


def render_from(session: Session, row: RenderRow) -> RenderRecord:
    """The picture of a row, with the ids of the people in it."""
    assert row.id is not None
    people = session.exec(
        select(RenderPersonRow.identity_id)
        .where(RenderPersonRow.render_id == row.id)
        .order_by(col(RenderPersonRow.position))
    ).all()
    settings, seed = table_from(row.settings), int(number_from(row.seed))
    new = NewRender(tuple(map(str, people)), Path(str(row.path)), str(row.prompt), seed, settings)
    return RenderRecord(row.id, str(row.created), new)


def delete_identity(session: Session, row: IdentityRow) -> None:
    """Delete an identity and the renders it is in; runs and links follow through their foreign keys."""
    ids = select(RenderPersonRow.render_id).where(RenderPersonRow.identity_id == row.id)
    session.execute(delete(RenderRow).where(col(RenderRow.id).in_(ids)))
    session.execute(delete(IdentityRow).where(col(IdentityRow.id) == row.id))
    session.expunge(row)


def insert_identity(session: Session, row: IdentityRow, run: NewRun | None, replace: bool) -> IdentityRow | None:
    """Insert an identity and its run; returns the row of whoever had to give way.

    Raises:
        NameTakenError: Somebody has the name, and is not to give way.
    """
    taken = session.exec(select(IdentityRow).where(IdentityRow.name == row.name)).first()
    if taken is not None:
        if not replace:
            raise name_taken(taken.name)
        delete_identity(session, taken)
        session.flush()
    session.add(row)
    session.flush()
    if run is not None:
        session.add(run_row(row.id, run))
    return taken


def rename_identity(session: Session, row: IdentityRow, name: str) -> IdentityRow:
    """Give an identity another name.

    Raises:
        NameTakenError: Somebody else has it.
    """
    row.name = name
    try:
        session.flush()
    except IntegrityError as error:
        raise name_taken(name, "choose another name, or remove them first") from error
    return row


def add_render_rows(session: Session, renders: Sequence[NewRender]) -> None:
    """Record pictures.

    Raises:
        UnknownNameError: Somebody in them has gone meanwhile.
    """
    if not renders:
        return
    created = now()
    rows = [
        {"created": created, "path": str(new.path), "prompt": new.prompt, "seed": new.seed, "settings": new.settings}
        for new in renders
    ]
    # Without an object for each row: a cluster makes thousands in a second.
    asked = insert(RenderRow).returning(col(RenderRow.id), sort_by_parameter_order=True)
    found = session.execute(asked, rows).scalars().all()
    people = [
        {"render_id": render_id, "position": position, "identity_id": identity_id}
        for render_id, new in zip(found, renders, strict=True)
        for position, identity_id in enumerate(new.identity_ids)
    ]
    try:
        if people:
            session.execute(insert(RenderPersonRow), people)
    except IntegrityError as error:
        raise UnknownNameError("a person in the picture is not in the registry any more") from error

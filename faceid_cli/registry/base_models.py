"""Names that the user gave to base models, and how people came out on them; kept in the registry."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from sqlmodel import col, select

from faceid_cli.errors import NameTakenError, UnknownNameError
from faceid_cli.registry.damage import table_from
from faceid_cli.registry.names import check_name
from faceid_cli.registry.rows import now
from faceid_cli.registry.store import Registry
from faceid_cli.registry.tables import BaseModelRow, BaseModelScoreRow


@dataclass(frozen=True)
class NamedModel:
    """A base model with a name: what it is loaded from, and the fingerprint of its weights when it was named."""

    name: str
    source: str
    fingerprint: str
    created: str


@dataclass(frozen=True)
class ModelScore:
    """How a person came out on a base model; scores by name, None where nothing could be scored."""

    identity_id: str
    fingerprint: str
    source: str
    created: str
    scores: dict[str, float | None]


def named_models(registry: Registry) -> list[NamedModel]:
    """All of them, by name."""
    with registry._session(read_only=True) as session:
        rows = session.exec(select(BaseModelRow).order_by(col(BaseModelRow.name))).all()
        # Of a damaged row only the name is missed.
        kept = [row for row in rows if all(isinstance(text, str) for text in (row.name, row.source, row.fingerprint))]
        return [NamedModel(row.name, row.source, row.fingerprint, str(row.created)) for row in kept]


def find_model(registry: Registry, name: str) -> NamedModel | None:
    """The base model of that name, or None; upper and lower case do not matter."""
    return next((model for model in named_models(registry) if model.name.lower() == name.lower()), None)


def shown_source(source: str) -> str:
    """A base model as people are told of it: by its name, where it has one, else by what it is loaded from."""
    return names_of_sources().get(source, source)


def names_of_sources() -> dict[str, str]:
    """Names of base models by what they stand for; of several names for one thing the first."""
    with Registry.open(create=False) as registry:
        return {model.source: model.name for model in reversed(named_models(registry))}


def add_model(registry: Registry, name: str, source: str, fingerprint: str, replace: bool = False) -> NamedModel:
    """Keep a name.

    Raises:
        InvalidNameError: The name is not allowed.
        NameTakenError: It is taken, and not to be replaced.
    """
    check_name(name)
    with registry._session() as session:
        old = session.exec(select(BaseModelRow).where(BaseModelRow.name == name)).first()
        if old is not None and (not replace or name.lower() == "builtin"):
            raise NameTakenError(f"{old.name} is a base model already", "choose another name, or give --replace")
        if old is not None:
            session.delete(old)
            session.flush()
        row = BaseModelRow(name=name, source=source, fingerprint=fingerprint, created=now())
        session.add(row)
        return NamedModel(row.name, row.source, row.fingerprint, row.created)


def remove_model(registry: Registry, name: str) -> None:
    """Forget a name; the files stay.

    Raises:
        UnknownNameError: No base model of that name.
    """
    with registry._session() as session:
        row = session.exec(select(BaseModelRow).where(BaseModelRow.name == name)).first()
        if row is None:
            near = get_close_matches(name, session.exec(select(BaseModelRow.name)).all(), n=1)
            hint = f"did you mean {near[0]}?" if near else "`faceid models list` shows the names"
            raise UnknownNameError(f"no base model is called {name!r}", hint)
        session.delete(row)


def add_score(
    registry: Registry, identity_id: str, fingerprint: str, source: str, scores: dict[str, float | None]
) -> ModelScore:
    """Keep how a person came out on a base model."""
    created = now()
    with registry._session() as session:
        session.add(
            BaseModelScoreRow(
                identity_id=identity_id, fingerprint=fingerprint, source=source, created=created, scores=scores
            )
        )
    return ModelScore(identity_id, fingerprint, source, created, scores)


def scores_of(registry: Registry, identity_id: str) -> list[ModelScore]:
    """How a person came out on base models, oldest first."""
    with registry._session(read_only=True) as session:
        query = select(BaseModelScoreRow).where(BaseModelScoreRow.identity_id == identity_id)
        rows = session.exec(query.order_by(col(BaseModelScoreRow.id))).all()
        return [
            ModelScore(row.identity_id, str(row.fingerprint), str(row.source), str(row.created), table_from(row.scores))
            for row in rows
        ]

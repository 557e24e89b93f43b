"""The registry's tables as SQLModel classes. The schema itself is made by migrations.py; a test holds them together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, String
from sqlmodel import Field, SQLModel


class IdentityRow(SQLModel, table=True):
    """A person. The embedding is a file named after the id."""

    __tablename__ = "identities"

    id: str = Field(primary_key=True)
    name: str = Field(sa_column=Column(String(collation="NOCASE"), nullable=False, unique=True))
    class_word: str
    base_model: str
    base_fingerprint: str
    method: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    photo_hashes: list[str] = Field(sa_column=Column(JSON, nullable=False))
    created: str
    tags: list[str] = Field(sa_column=Column(JSON, nullable=False))
    note: str
    consent: str = ""


class RunRow(SQLModel, table=True):
    """A training run of a person."""

    __tablename__ = "runs"

    id: int | None = Field(default=None, primary_key=True)
    identity_id: str = Field(
        sa_column=Column(String, ForeignKey("identities.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    created: str
    seconds: float
    resumed_from: int
    settings: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    losses: list[list[float]] = Field(sa_column=Column(JSON, nullable=False))
    scores: dict[str, float] = Field(sa_column=Column(JSON, nullable=False))


class RenderRow(SQLModel, table=True):
    """A picture."""

    __tablename__ = "renders"

    id: int | None = Field(default=None, primary_key=True)
    created: str
    path: str
    prompt: str
    # Seeds reach 2**32 - 1; SQLite's integers hold 64 bits.
    seed: int
    settings: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class RenderPersonRow(SQLModel, table=True):
    """Who is in which picture, in the order of the prompt."""

    __tablename__ = "render_people"

    render_id: int = Field(sa_column=Column(ForeignKey("renders.id", ondelete="CASCADE"), primary_key=True))
    position: int = Field(primary_key=True)
    identity_id: str = Field(
        sa_column=Column(String, ForeignKey("identities.id", ondelete="CASCADE"), nullable=False, index=True)
    )


class BaseModelRow(SQLModel, table=True):
    """A name for a base model."""

    __tablename__ = "base_models"

    name: str = Field(sa_column=Column(String(collation="NOCASE"), primary_key=True))
    source: str
    fingerprint: str
    created: str


class BaseModelScoreRow(SQLModel, table=True):
    """How a person came out on a base model."""

    __tablename__ = "base_model_scores"

    id: int | None = Field(default=None, primary_key=True)
    identity_id: str = Field(
        sa_column=Column(String, ForeignKey("identities.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    fingerprint: str
    source: str
    created: str
    scores: dict[str, float | None] = Field(sa_column=Column(JSON, nullable=False))

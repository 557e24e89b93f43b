"""The registry: who has been enrolled, how, and what was made of them.

An identity is a row and a file. The file is written first and the row last; whatever fails leaves neither. On removal
the row goes first. So every row has its file, and the worst that a crash leaves is a stray file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from faceid_cli.errors import UnknownNameError
from faceid_cli.kept import paths
from faceid_cli.registry.damage import identity_from
from faceid_cli.registry.engine import forbid_writing, is_writable, make_copy, make_engine, not_writable, plain_errors
from faceid_cli.registry.migrations import migrate
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun, RenderRecord, Run, check_tags
from faceid_cli.registry.rows import (
    delete_identity,
    identity_row,
    name_taken,
    now,
    renders_with,
    run_from,
    run_row,
    unknown_name,
)
from faceid_cli.registry.tables import IdentityRow, RenderPersonRow, RenderRow, RunRow
from faceid_cli.types import Identity

# Named here because inside the class `list` is the method.
Identities = list[Identity]
Runs = list[Run]
RenderRecords = list[RenderRecord]
Lines = list[str]
WriteEmbedding = Callable[[Identity], None]


@dataclass(frozen=True)
class Removed:
    """What a removal took away, the pictures that it left where they are, and what it could not delete or clean."""

    identity: Identity
    runs: int
    pictures: tuple[Path, ...]
    left: tuple[Path, ...] = ()


class Registry:
    """The open registry. Use `Registry.open()` in a `with` statement."""

    def __init__(self, engine: Engine, file: Path | None, embeddings_dir: Path) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self.file = file
        self.embeddings_dir = embeddings_dir
        self.backup: Path | None = None
        self.is_read_only = False

    @classmethod
    def open(cls, path: Path | None = None, embeddings_dir: Path | None = None, create: bool = True) -> Registry:
        """Open the registry and bring it up to date; `backup` then says where the older version was kept, if any.

        One that cannot be written can be read all the same; `is_read_only` then says so, and changes are errors.

        Args:
            path: The database; the user's own by default.
            embeddings_dir: Folder of the embeddings; the user's own by default.
            create: Without it, a registry that does not exist reads as an empty one, and nothing is written.

        Raises:
            RegistryError: It cannot be read or written, is damaged, or is not a registry.
            RegistryTooNewError: A newer faceid wrote it.
        """
        wanted = paths.registry_file() if path is None else path
        file = wanted if create or wanted.exists() else None
        with plain_errors(wanted):
            if file is not None and file.exists() and not is_writable(file):
                return cls._open_copy(file, embeddings_dir or paths.identities_dir())
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            registry = cls(make_engine(file), file, embeddings_dir or paths.identities_dir())
            registry.backup = migrate(registry._engine, file)
        return registry

    @classmethod
    def _open_copy(cls, file: Path, embeddings_dir: Path) -> Registry:
        """Open what cannot be written for reading alone, brought up to date in memory."""
        registry = cls(make_copy(file), file, embeddings_dir)
        migrate(registry._engine, None)
        forbid_writing(registry._engine)
        registry.is_read_only = True
        return registry

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def check_writable(self) -> None:
        """Raise RegistryError where it can only be read."""
        if self.is_read_only:
            raise not_writable(self.file)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # Reading

    def list(self, tag: str | None = None) -> Identities:
        """All identities by name, or those with a tag."""
        with self._session(read_only=True) as session:
            rows = session.exec(select(IdentityRow).order_by(col(IdentityRow.name))).all()
            found = [self._identity(row) for row in rows]
        return [identity for identity in found if tag is None or tag in identity.tags]

    def get(self, name: str) -> Identity:
        """Return an identity; upper and lower case do not matter.

        Raises:
            UnknownNameError: Nobody of that name; the hint has the names that come near it.
        """
        with self._session(read_only=True) as session:
            return self._identity(self._row(session, name))

    def find(self, name: str) -> Identity | None:
        """Return an identity, or None."""
        with self._session(read_only=True) as session:
            row = session.exec(select(IdentityRow).where(IdentityRow.name == name)).first()
            return self._identity(row) if row else None

    def runs_of(self, name: str) -> Runs:
        """Training runs of an identity, oldest first."""
        with self._session(read_only=True) as session:
            person = self._row(session, name)
            query = select(RunRow).where(RunRow.identity_id == person.id).order_by(col(RunRow.id))
            return [run_from(row) for row in session.exec(query)]

    def renders_of(self, name: str) -> RenderRecords:
        """Pictures that an identity is in, oldest first."""
        with self._session(read_only=True) as session:
            return renders_with(session, self._row(session, name).id)

    # Writing

    def add_identity(self, new: NewIdentity, write_embedding: WriteEmbedding, run: NewRun | None = None) -> Identity:
        """Keep a new identity: its file first, then its row and that of its training run.

        Args:
            new: What to keep.
            write_embedding: Writes the file `identity.path`; its folder exists.
            run: The run it came from.

        Raises:
            NameTakenError: The name is taken; neither file nor row is left.
        """
        if taken := self.find(new.name):
            raise name_taken(taken.name)
        return self._keep(new, write_embedding, run, replace=False)

    def replace_identity(
        self, new: NewIdentity, write_embedding: WriteEmbedding, run: NewRun | None = None
    ) -> Identity:
        """Like `add_identity`, but an identity of that name gives way once the new one is complete.

        Its runs and the records of its renders go with it: they could not be repeated any more.
        """
        return self._keep(new, write_embedding, run, replace=True)

    def rename(self, old: str, new: str) -> Identity:
        """Give an identity another name.

        Raises:
            UnknownNameError: Nobody of that name.
            InvalidNameError: The new name is not allowed.
            NameTakenError: Somebody else has the new name.
        """
        check_name(new)
        with self._session() as session:
            row = self._row(session, old)
            row.name = new
            try:
                session.flush()
            except IntegrityError as error:
                raise name_taken(new, "choose another name, or remove them first") from error
            return self._identity(row)

    def describe(self, name: str, tags: tuple[str, ...] | None = None, note: str | None = None) -> Identity:
        """Give an identity other tags, or another note; what is None stays.

        Raises:
            UnknownNameError: Nobody of that name.
            UsageError: Not a tag.
        """
        check_tags(tags or ())
        with self._session() as session:
            row = self._row(session, name)
            if tags is not None:
                row.tags = list(tags)
            if note is not None:
                row.note = note
            session.flush()
            return self._identity(row)

    def remove(self, name: str) -> Removed:
        """Forget an identity: its row, its runs, the records of pictures it is in, and its file.

        The pictures themselves stay; the answer lists them.

        Raises:
            UnknownNameError: Nobody of that name.
        """
        with self._session() as session:
            row = self._row(session, name)
            identity = self._identity(row)
            runs = len(session.exec(select(RunRow.id).where(RunRow.identity_id == row.id)).all())
            pictures = tuple(record.render.path for record in renders_with(session, row.id))
            delete_identity(session, row)
        with plain_errors(identity.path):
            identity.path.unlink(missing_ok=True)
        return Removed(identity, runs, pictures)

    def add_renders(self, renders: Sequence[NewRender]) -> None:
        """Record pictures that were made, all or none.

        Raises:
            UnknownNameError: One of the people has been removed in the meantime.
        """
        created = now()
        with self._session() as session:
            for new in renders:
                row = RenderRow(
                    created=created, path=str(new.path), prompt=new.prompt, seed=new.seed, settings=new.settings
                )
                session.add(row)
                session.flush()
                assert row.id is not None
                for position, identity_id in enumerate(new.identity_ids):
                    session.add(RenderPersonRow(render_id=row.id, position=position, identity_id=identity_id))
            try:
                session.flush()
            except IntegrityError as error:
                raise UnknownNameError("a person in the picture is not in the registry any more") from error

    # Checking

    def problems(self) -> Lines:
        """What is wrong with the registry, one line each: damage, rows without a file, files without a row."""
        with self._session(read_only=True) as session:
            connection = session.connection()
            found = [str(line) for (line,) in connection.exec_driver_sql("PRAGMA integrity_check") if line != "ok"]
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        found += [f"a row of {row[0]} refers to a row of {row[2]} that is gone" for row in broken]
        identities = self.list()
        found += [
            f"the entry of {entry.name} is damaged: {', '.join(entry.damaged)}" for entry in identities if entry.damaged
        ]
        found += [f"{entry.name} has no file: {entry.path}" for entry in identities if not entry.path.is_file()]
        files = set(self.embeddings_dir.glob("*")) - {entry.path for entry in identities}
        return found + [f"a file that belongs to nobody: {file}" for file in sorted(files)]

    # Internals

    @contextmanager
    def _session(self, read_only: bool = False) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back after any error."""
        engine = self._reader if read_only else self._engine
        with plain_errors(self.file), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def _keep(self, new: NewIdentity, write: WriteEmbedding, run: NewRun | None, replace: bool) -> Identity:
        row = identity_row(new)
        identity = self._identity(row)
        with plain_errors(self.file):
            self.embeddings_dir.mkdir(parents=True, exist_ok=True)
        try:
            write(identity)
            old = self._insert(row, run, replace)
        except BaseException:
            identity.path.unlink(missing_ok=True)
            raise
        if old is not None:
            old.path.unlink(missing_ok=True)
        return identity

    def _insert(self, row: IdentityRow, run: NewRun | None, replace: bool) -> Identity | None:
        """Insert the rows; returns the identity that had to give way."""
        with self._session() as session:
            taken = session.exec(select(IdentityRow).where(IdentityRow.name == row.name)).first()
            if taken is not None and not replace:
                raise name_taken(taken.name)
            old = self._identity(taken) if taken else None
            if taken is not None:
                delete_identity(session, taken)
                session.flush()
            session.add(row)
            session.flush()
            if run is not None:
                session.add(run_row(row.id, run))
        return old

    def _row(self, session: Session, name: str) -> IdentityRow:
        row = session.exec(select(IdentityRow).where(IdentityRow.name == name)).first()
        row = row or session.get(IdentityRow, name)  # a damaged row may have lost its name
        if row is None:
            known = session.exec(select(IdentityRow.name)).all()
            raise unknown_name(name, [each for each in known if isinstance(each, str)])
        return row

    def _identity(self, row: IdentityRow) -> Identity:
        return identity_from(row, self.embeddings_dir)

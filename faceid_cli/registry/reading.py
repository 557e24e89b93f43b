"""Reading the registry: opening it, who is there and what was made of them, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from faceid_cli.kept import paths
from faceid_cli.kept.files import is_scratch, is_writable, make_folder, old_scratches
from faceid_cli.kept.signals import held_signals
from faceid_cli.registry.damage import id_from, identity_from
from faceid_cli.registry.engine import forbid_writing, make_copy, make_engine, plain_errors
from faceid_cli.registry.journal import Journal
from faceid_cli.registry.migrations import migrate
from faceid_cli.registry.plain_errors import not_writable, unknown_name
from faceid_cli.registry.records import RenderRecord, Run
from faceid_cli.registry.recovery import Finished, finish
from faceid_cli.registry.rows import renders_with, run_from
from faceid_cli.registry.tables import IdentityRow, RunRow
from faceid_cli.types import Identity

# Named here because inside the class `list` is the method.
Identities = list[Identity]
Runs = list[Run]
RenderRecords = list[RenderRecord]
Lines = list[str]
Paths = list[Path]
Ids = set[str]


class ReadableRegistry:
    """What `Registry` can do without changing who is in it: open, read and check."""

    def __init__(self, engine: Engine, file: Path | None, embeddings_dir: Path) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self.file = file
        self.embeddings_dir = embeddings_dir
        self._journal = Journal(file)
        self.backup: Path | None = None
        self.finished: list[Finished] = []
        self.is_read_only = False

    @classmethod
    def open(cls, path: Path | None = None, embeddings_dir: Path | None = None, create: bool = True) -> Self:
        """Open the registry and bring it up to date; `backup` then says where the older version was kept, if any.

        What a process that has died had begun is finished; `finished` says what that was. A registry that cannot be
        written can be read all the same; `is_read_only` then says so, and changes are errors.

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
        with plain_errors(wanted), held_signals():
            if file is not None and file.exists() and not is_writable(file):
                return cls._open_copy(file, embeddings_dir or paths.identities_dir())
            if file is not None:
                make_folder(file.parent)
                if not file.exists():
                    file.touch(0o600)
            registry = cls(make_engine(file), file, embeddings_dir or paths.identities_dir())
            registry.backup = migrate(registry._engine, file)
            if file is not None:
                registry.finished = finish(file, registry.embeddings_dir)
        return registry

    @classmethod
    def _open_copy(cls, file: Path, embeddings_dir: Path) -> Self:
        """Open what cannot be written for reading alone, brought up to date in memory."""
        registry = cls(make_copy(file), file, embeddings_dir)
        migrate(registry._engine, None)
        forbid_writing(registry._engine)
        registry.is_read_only = True
        return registry

    def __enter__(self) -> Self:
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

    # Checking

    def problems(self, people: Sequence[Identity] | None = None) -> Lines:
        """What is wrong with the registry, one line each: damage, rows without a file, files without a row.

        Args:
            people: All identities, where somebody has them already.
        """
        with self._session(read_only=True) as session:
            connection = session.connection()
            found = [str(line) for (line,) in connection.exec_driver_sql("PRAGMA integrity_check") if line != "ok"]
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        found += [f"a row of {row[0]} refers to a row of {row[2]} that is gone" for row in broken]
        identities = self.list() if people is None else people
        found += [
            f"the entry of {entry.name} is damaged: {', '.join(entry.damaged)}" for entry in identities if entry.damaged
        ]
        without = [entry for entry in identities if not entry.path.is_file()]
        there = self.known_ids() if without else set()  # they may have been removed meanwhile
        found += [f"{entry.name} has no file: {entry.path}" for entry in without if entry.id in there]
        return found + [f"a file that belongs to nobody: {file}" for file in self.strays()]

    def strays(self) -> Paths:
        """Files in the folder of embeddings that belong to nobody, and that nobody is writing."""
        # Listed first: whose file was there has by now an entry in the journal, or a row.
        files = {path for path in self.embeddings_dir.glob("*") if not is_scratch(path)}
        known = {self.embeddings_dir / f"{each}.safetensors" for each in self.known_ids()}
        return sorted({*files, *old_scratches(self.embeddings_dir)} - known)

    def known_ids(self) -> Ids:
        """Ids of everybody who is enrolled, and of those who are just being kept or removed."""
        # The journal first: who is kept meanwhile leaves it with a row.
        at_work = {each for entry in self._journal.entries() for each in entry.people}
        with self._session(read_only=True) as session:
            return at_work | {id_from(each) for each in session.exec(select(IdentityRow.id))}

    # Internals

    @contextmanager
    def _session(self, read_only: bool = False) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back after any error."""
        engine = self._reader if read_only else self._engine
        with (
            plain_errors(self.file),
            held_signals(),
            Session(engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def _row(self, session: Session, name: str) -> IdentityRow:
        row = session.exec(select(IdentityRow).where(IdentityRow.name == name)).first()
        row = row or session.get(IdentityRow, name)  # a damaged row may have lost its name
        if row is None:
            known = session.exec(select(IdentityRow.name)).all()
            raise unknown_name(name, [each for each in known if isinstance(each, str)])
        return row

    def _identity(self, row: IdentityRow) -> Identity:
        return identity_from(row, self.embeddings_dir)

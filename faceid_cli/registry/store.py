"""The registry: who has been enrolled, how, and what was made of them.

An identity is a row and a file. The file is written first and the row last; whatever fails leaves neither. On removal
the row goes first. So every row has its file. What a crash leaves of the rest is in the journal, and the next one who
opens the registry finishes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from faceid_cli.errors import FaceIDError
from faceid_cli.kept import paths
from faceid_cli.kept.files import is_scratch, make_folder, old_scratches
from faceid_cli.kept.runs import move_checkpoint
from faceid_cli.kept.signals import held_signals
from faceid_cli.registry.damage import identity_from
from faceid_cli.registry.engine import forbid_writing, is_writable, make_copy, make_engine, not_writable, plain_errors
from faceid_cli.registry.forgetting import is_held
from faceid_cli.registry.journal import Entry, Journal
from faceid_cli.registry.migrations import migrate
from faceid_cli.registry.names import check_name
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun, RenderRecord, Run, check_tags
from faceid_cli.registry.recovery import Finished, finish, finish_removal, forget_files
from faceid_cli.registry.rows import (
    add_render_rows,
    delete_person,
    identity_row,
    insert_identity,
    name_taken,
    rename_identity,
    renders_with,
    run_from,
    unknown_name,
)
from faceid_cli.registry.tables import IdentityRow, RunRow
from faceid_cli.types import Identity

# Named here because inside the class `list` is the method.
Identities = list[Identity]
Runs = list[Run]
RenderRecords = list[RenderRecord]
Lines = list[str]
Paths = list[Path]
Ids = set[str]
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
        self._journal = Journal(file)
        self.backup: Path | None = None
        self.finished: list[Finished] = []
        self.is_read_only = False

    @classmethod
    def open(cls, path: Path | None = None, embeddings_dir: Path | None = None, create: bool = True) -> Registry:
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

    def add_identity(
        self, new: NewIdentity, write_embedding: WriteEmbedding, run: NewRun | None = None, spent: Path | None = None
    ) -> Identity:
        """Keep a new identity: its file first, then its row and that of its training run.

        Args:
            new: What to keep.
            write_embedding: Writes the file `identity.path`, whose folder exists, and the material.
            run: The run it came from.
            spent: Folder of the run's checkpoint, which goes once the identity is kept; None if there is none.

        Raises:
            NameTakenError: The name is taken; neither file, material nor row is left.
        """
        if taken := self.find(new.name):
            raise name_taken(taken.name)
        return self._keep(new, write_embedding, run, replace=False, spent=spent)

    def replace_identity(
        self, new: NewIdentity, write_embedding: WriteEmbedding, run: NewRun | None = None, spent: Path | None = None
    ) -> Identity:
        """Like `add_identity`, but an identity of that name gives way once the new one is complete.

        Its material, its runs and the records of its renders go with it: they could not be repeated any more.
        """
        return self._keep(new, write_embedding, run, replace=True, spent=spent)

    def rename(self, old: str, new: str) -> Identity:
        """Give an identity another name.

        Raises:
            UnknownNameError: Nobody of that name.
            InvalidNameError: The new name is not allowed.
            NameTakenError: Somebody else has the new name.
        """
        check_name(new)
        person = self.get(old)
        entry = Entry("rename", person.id, person.name, new)
        with self._begun(entry):
            try:
                with self._session() as session:
                    renamed = self._identity(rename_identity(session, self._row(session, person.name), new))
            except FaceIDError:
                self._journal.close(entry)
                raise
            with suppress(OSError):  # on a full disk the next command does it
                move_checkpoint(person.name, new)
                self._journal.close(entry)
        return renamed

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
        """Forget an identity: row, embedding, crops, runs, checkpoint and records of pictures.

        What the registry's file and its backups still hold of them is overwritten. The pictures themselves stay; the
        answer lists them, and what could not be deleted or cleaned.

        Raises:
            UnknownNameError: Nobody of that name.
        """
        identity = self.get(name)
        entry = Entry("remove", identity.id, identity.name)
        with ExitStack() as stack:
            with held_signals():  # written down and gone, or neither
                stack.enter_context(self._begun(entry))
                try:
                    with self._session() as session:
                        runs, pictures = delete_person(session, identity.id, identity.name)
                except FaceIDError:
                    self._journal.close(entry)
                    raise
            with plain_errors(self.file):
                assert self.file is not None
                left = finish_removal(self.file, self.embeddings_dir, entry)
                if left or not is_held(self.file, identity.id):
                    self._journal.close(entry, is_finished=not left)
        return Removed(identity, runs, pictures, left)

    def finish_removal(self, name: str) -> Finished | None:
        """Finish the removal of a person that stopped half-way; None where there is none.

        Opening the registry may have done so already, or have found that something cannot be deleted.
        """
        again = [] if self.file is None or self.is_read_only else finish(self.file, self.embeddings_dir, name, True)
        found = (each for each in (*again, *self.finished) if each.entry.kind == "remove")
        return next((each for each in found if each.entry.name.lower() == name.lower()), None)

    def add_renders(self, renders: Sequence[NewRender]) -> None:
        """Record pictures that were made, all or none.

        Raises:
            UnknownNameError: One of the people has been removed in the meantime.
        """
        with self._session() as session:
            add_render_rows(session, renders)

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
        return at_work | {person.id for person in self.list()}

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

    @contextmanager
    def _begun(self, entry: Entry) -> Iterator[None]:
        self.check_writable()
        with ExitStack() as stack:
            with plain_errors(self.file):
                stack.enter_context(self._journal.entry(entry))
            yield

    def _keep(
        self, new: NewIdentity, write: WriteEmbedding, run: NewRun | None, replace: bool, spent: Path | None
    ) -> Identity:
        row = identity_row(new)
        identity = self._identity(row)
        old = self.find(new.name) if replace else None
        others = (old.id,) if old else ()
        entry = Entry("keep", row.id, row.name, others=others, spent=spent.name if spent else "")
        with self._begun(entry):
            try:
                with plain_errors(self.file):
                    make_folder(self.embeddings_dir)
                write(identity)
            except BaseException:
                self._undo(entry)
                raise
            with held_signals():  # the new one and the old one change places
                try:
                    with self._session() as session:
                        taken = insert_identity(session, row, run, replace)
                        gone = None if taken is None else taken.id
                except BaseException:
                    self._undo(entry)
                    raise
                left = forget_files(gone, self.embeddings_dir) if gone else []
                if spent:
                    shutil.rmtree(spent, ignore_errors=True)
                self._journal.close(entry, is_finished=not left)
        return identity

    def _undo(self, entry: Entry) -> None:
        """Take away what was written of somebody who could not be kept; where nobody can say, the journal remembers."""
        with suppress(FaceIDError):
            there = self.find(entry.name)
            if there is None or there.id != entry.identity_id:
                left = forget_files(entry.identity_id, self.embeddings_dir)
                self._journal.close(entry, is_finished=not left)

    def _row(self, session: Session, name: str) -> IdentityRow:
        row = session.exec(select(IdentityRow).where(IdentityRow.name == name)).first()
        row = row or session.get(IdentityRow, name)  # a damaged row may have lost its name
        if row is None:
            known = session.exec(select(IdentityRow.name)).all()
            raise unknown_name(name, [each for each in known if isinstance(each, str)])
        return row

    def _identity(self, row: IdentityRow) -> Identity:
        return identity_from(row, self.embeddings_dir)

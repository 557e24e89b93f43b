"""The registry: who has been enrolled, how, and what was made of them.

An identity is a row and a file. The file is written first and the row last; whatever fails leaves neither. On removal
the row goes first. So every row has its file. What a crash leaves of the rest is in the journal, and the next one who
opens the registry finishes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from faceid_cli.errors import FaceIDError
from faceid_cli.kept.files import make_folder
from faceid_cli.kept.runs import move_checkpoint
from faceid_cli.kept.signals import held_signals
from faceid_cli.registry.engine import plain_errors
from faceid_cli.registry.journal import Entry
from faceid_cli.registry.names import check_name
from faceid_cli.registry.reading import ReadableRegistry
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun, check_tags
from faceid_cli.registry.recovery import Finished, finish, forget_files
from faceid_cli.registry.removal import Removed, remove_identity
from faceid_cli.registry.rows import (
    add_render_rows,
    identity_row,
    insert_identity,
    name_taken,
    rename_identity,
)
from faceid_cli.types import Identity

WriteEmbedding = Callable[[Identity], None]


class Registry(ReadableRegistry):
    """The open registry. Use `Registry.open()` in a `with` statement."""

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
        self.check_writable()
        assert self.file is not None
        return remove_identity(self.file, self.embeddings_dir, identity)

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

    # Internals

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

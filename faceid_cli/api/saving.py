"""Pictures are written in threads of their own, while the next ones are rendered, and recorded by one of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from faceid_cli.api.recording import not_recorded, record_pictures
from faceid_cli.api.wanted import Wanted
from faceid_cli.errors import FaceIDError, OutputError, UnknownNameError, UsageError
from faceid_cli.kept.files import old_scratches, output_error
from faceid_cli.kept.remote import is_remote
from faceid_cli.rendering.provenance import Provenance
from faceid_cli.rendering.record import metadata_of
from faceid_cli.rendering.save import OutputPlan, plan_output, save_over, save_render
from faceid_cli.types import OnNote, Render

OnSaved = Callable[[Render], None]
"""Called with a picture that is where it belongs."""
OnFailed = Callable[[FaceIDError], None]
"""Called where a picture can be no file, with the reason; others can."""
_MOST_RECORDING = 4
"""Groups of pictures that wait to be recorded."""
_MOST_WAITING = 16
"""Pictures that wait to be written, for each thread: more would only fill the memory."""
WRITERS = 16
"""Threads for pictures of many workers: a disk confirms many files at once in hardly more time than one."""


@dataclass(frozen=True)
class _Writing:
    """A picture on its way."""

    future: Future[tuple[Render, list[str]]]
    ids: tuple[str, ...]
    overwrites: bool
    on_saved: OnSaved
    on_failed: OnFailed


class Saver:
    """Writes pictures in the order in which they come, each whole or not at all.

    Args:
        on_note: Called, from this thread's owner, with a line worth telling the user.
        provenance: Marks and signs them; None for neither.
        threads: How many files are written at once.
    """

    def __init__(self, on_note: OnNote, provenance: Provenance | None = None, threads: int = 1) -> None:
        self._on_note, self._provenance, self._threads = on_note, provenance, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="faceid-saver")
        self._recorder = ThreadPoolExecutor(1, thread_name_prefix="faceid-recorder")
        self._waiting: deque[_Writing] = deque()
        self._recording: deque[tuple[Future[list[str]], list[_Writing]]] = deque()
        self._failure: BaseException | None = None
        self._folders: set[Path] = set()

    def save(
        self,
        picture: Render,
        path: Path,
        wanted: Wanted,
        overwrite: bool,
        on_saved: OnSaved,
        on_failed: OnFailed,
    ) -> None:
        """Have a picture written.

        Args:
            picture: With its settings.
            path: Its name; another one with a number where that is taken, unless it is to be overwritten.
            wanted: What it was made for: its people, for the registry, and what may stand in its file.
            overwrite: Whether what has that name gives way.
            on_saved: Called with the picture and its path once it is written, from `finished`.
            on_failed: Called in the same way where this picture alone cannot be written.
        """
        while len(self._waiting) >= _MOST_WAITING * self._threads:
            self._take_written(must=True)
        future = self._pool.submit(self._write, picture, path, wanted, overwrite)
        self._waiting.append(_Writing(future, wanted.ids, overwrite, on_saved, on_failed))

    def finished(self) -> None:
        """Tell of the pictures that have been written and recorded.

        Raises:
            OutputError: A picture could not be; those after it are not tried.
        """
        self._take_written(must=False)
        while self._recording and self._recording[0][0].done():
            self._tell()

    def close(self) -> None:
        """Wait for all pictures, and tell of them. Raises as `finished`."""
        try:
            while self._waiting:
                self._take_written(must=True)
            while self._recording:
                self._tell()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of what has not been begun; the pictures that are being written are finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._recorder.shutdown(wait=True, cancel_futures=True)

    def _take_written(self, must: bool) -> None:
        """Have all those recorded together that are written; wait for one if there has to be one."""
        written: list[_Writing] = []
        failure: BaseException | None = None
        while self._waiting and (self._waiting[0].future.done() or (must and not written)):
            first = self._waiting[0]
            try:
                first.future.result()
            except UsageError as error:
                self._waiting.popleft()
                first.on_failed(error)
                must = False
                continue
            except CancelledError as error:  # after another one's failure
                failure = self._failure or error
                break
            except BaseException as error:
                failure = error
                break
            written.append(self._waiting.popleft())
        if written:
            self._recording.append((self._recorder.submit(self._record, written), written))
        if failure is not None:
            while self._recording:
                self._tell()
            raise failure
        while len(self._recording) > _MOST_RECORDING:
            self._tell()

    def _tell(self) -> None:
        """Tell of pictures that are recorded."""
        future, written = self._recording[0]
        notes = future.result()
        self._recording.popleft()
        for each in written:
            for note in each.future.result()[1]:
                self._on_note(note)
        for note in notes:
            self._on_note(note)
        for each in written:
            each.on_saved(each.future.result()[0])

    def _record(self, written: Sequence[_Writing]) -> list[str]:
        """Let the registry know of pictures; returns what is worth telling."""
        saved = [each.future.result()[0] for each in written]
        try:
            is_known = record_pictures(
                [(picture, each.ids, each.overwrites) for picture, each in zip(saved, written, strict=True)]
            )
        except UnknownNameError:
            if len(written) == 1:
                return [f"{saved[0].path}: a person in the picture is not in the registry any more"]
            return [note for each in written for note in self._record([each])]
        return [] if is_known else [not_recorded()]

    def _write(self, picture: Render, path: Path, wanted: Wanted, overwrite: bool) -> tuple[Render, list[str]]:
        """Write a picture; returns it with what is worth telling."""
        if self._failure is not None:
            raise CancelledError
        notes = list[str]()
        try:
            metadata = metadata_of(picture, wanted.ids)
            plan = self._planned(path, wanted, notes)
            try:
                saved = save_over(picture, path, plan, metadata) if overwrite else save_render(picture, plan, metadata)
                return saved, notes
            except UsageError:  # of this picture
                raise
            except FaceIDError as error:  # it cannot be signed: as little the others as where the disk is full
                raise OutputError(error.message, error.hint) from error
        except UsageError:
            raise
        except BaseException as error:
            self._failure = self._failure or error
            raise

    def _planned(self, path: Path, wanted: Wanted, notes: list[str]) -> OutputPlan:
        """Where a picture goes; a folder is looked at once."""
        folder, order = path.parent, wanted.order
        make_folder(folder)
        if folder not in self._folders and not is_remote(folder):
            plan_output(path, path.stem, 1, order.format, order.metadata)
            self._folders.add(folder)
            for scratch in old_scratches(folder):
                with suppress(OSError):
                    scratch.unlink()
        provenance = None if self._provenance is None else replace(self._provenance, on_note=notes.append)
        return OutputPlan(folder, path.stem, False, path.suffix, order.metadata, provenance)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it.

    Raises:
        OutputError: It cannot be made.
    """
    if is_remote(folder):  # there, folders are but parts of names
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error

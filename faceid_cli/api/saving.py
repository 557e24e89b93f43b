"""Pictures are written and recorded in a thread of their own, while the next ones are rendered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from faceid_cli.api.recording import not_recorded, record_picture
from faceid_cli.api.wanted import Wanted
from faceid_cli.errors import FaceIDError, OutputError, UnknownNameError, UsageError
from faceid_cli.kept.files import old_scratches, output_error
from faceid_cli.rendering.provenance import Provenance
from faceid_cli.rendering.record import metadata_of
from faceid_cli.rendering.save import plan_output, save_over, save_render
from faceid_cli.types import OnNote, Render

OnSaved = Callable[[Render], None]
"""Called with a picture that is where it belongs."""
OnFailed = Callable[[FaceIDError], None]
"""Called where a picture can be no file, with the reason; others can."""
_MOST_WAITING = 16
"""Pictures that wait to be written: more would only fill the memory."""


class Saver:
    """Writes pictures in the order in which they come, each whole or not at all.

    Args:
        on_note: Called, from this thread's owner, with a line worth telling the user.
        provenance: Marks and signs them; None for neither.
    """

    def __init__(self, on_note: OnNote, provenance: Provenance | None = None) -> None:
        self._on_note, self._provenance = on_note, provenance
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="faceid-saver")
        self._waiting: deque[tuple[Future[tuple[Render, list[str]]], OnSaved, OnFailed]] = deque()
        self._has_failed = False
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
        while len(self._waiting) >= _MOST_WAITING:
            self._take()
        self._waiting.append((self._pool.submit(self._write, picture, path, wanted, overwrite), on_saved, on_failed))

    def finished(self) -> None:
        """Tell of the pictures that have been written.

        Raises:
            OutputError: A picture could not be; those after it are not tried.
        """
        while self._waiting and self._waiting[0][0].done():
            self._take()

    def close(self) -> None:
        """Wait for all pictures, and tell of them. Raises as `finished`."""
        try:
            while self._waiting:
                self._take()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of what has not been begun; the picture that is being written is finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _take(self) -> None:
        future, on_saved, on_failed = self._waiting[0]
        try:
            picture, notes = future.result()
        except UsageError as error:
            self._waiting.popleft()
            on_failed(error)
            return
        self._waiting.popleft()
        for note in notes:
            self._on_note(note)
        on_saved(picture)

    def _write(self, picture: Render, path: Path, wanted: Wanted, overwrite: bool) -> tuple[Render, list[str]]:
        """Write and record a picture; returns it with what is worth telling."""
        if self._has_failed:
            raise CancelledError
        order, notes = wanted.order, list[str]()
        try:
            metadata = metadata_of(picture, wanted.ids)
            self._make_folder(path.parent)
            plan = plan_output(path, path.stem, 1, order.format, order.metadata)
            if self._provenance is not None:
                plan = replace(plan, provenance=replace(self._provenance, on_note=notes.append))
            try:
                saved = save_over(picture, path, plan, metadata) if overwrite else save_render(picture, plan, metadata)
            except UsageError:  # of this picture
                raise
            except FaceIDError as error:  # it cannot be signed: as little the others as where the disk is full
                raise OutputError(error.message, error.hint) from error
            is_known = record_picture(saved, wanted.ids, overwrite)
        except UnknownNameError as error:
            return saved, [*notes, f"{saved.path}: {error.message}"]
        except UsageError:
            raise
        except BaseException:
            self._has_failed = True
            raise
        if not is_known:
            notes.append(not_recorded())
        return saved, notes

    def _make_folder(self, folder: Path) -> None:
        make_folder(folder)
        if folder not in self._folders:
            self._folders.add(folder)
            for scratch in old_scratches(folder):
                with suppress(OSError):
                    scratch.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error

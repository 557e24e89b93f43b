"""What came of pictures: where they go, which failed, and which are to be tried again."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from faceid_cli.api.already import REJECTED as REJECTED_FOLDER
from faceid_cli.api.saving import OnFailed, OnSaved
from faceid_cli.api.wanted import FAILED, REJECTED, RENDERED, OnOutcome, Outcome, Wanted
from faceid_cli.errors import FaceIDError, NotAlikeError, OutOfMemoryError, UnknownNameError, UsageError
from faceid_cli.jobs.rows import located
from faceid_cli.types import OnNote, Render


class Sink(Protocol):
    """Where pictures go."""

    def put(self, picture: Render, wanted: Wanted, is_rejected: bool, on_saved: OnSaved, on_failed: OnFailed) -> None:
        """Take a picture; `on_saved` is called with it once it is where it belongs, or `on_failed` with the reason."""
        ...

    def finished(self) -> None:
        """Tell of the pictures that are where they belong."""
        ...


class Results:
    """Tells what came of pictures.

    Args:
        sink: Where pictures go.
        on_outcome: Called with what came of each.
        on_note: Called with a line worth telling the user.
        fail_fast: Whether the first picture that fails ends all, with its error.
    """

    def __init__(self, sink: Sink, on_outcome: OnOutcome, on_note: OnNote, fail_fast: bool = False) -> None:
        self._sink, self._on_outcome, self._on_note, self._fail_fast = sink, on_outcome, on_note, fail_fast
        self.again: list[Wanted] = []
        """Pictures that are to be tried again."""
        self.last: FaceIDError | None = None
        """What ended all, where the first picture that fails does."""

    def taken_again(self) -> list[Wanted]:
        """Those that are to be tried again, which then are no more among them."""
        taken, self.again = self.again, []
        return taken

    def put(self, picture: Render, wanted: Wanted, is_rejected: bool) -> None:
        """Hand a picture on.

        Args:
            picture: With all its settings.
            wanted: What it was made for.
            is_rejected: Whether it is not like its people.
        """
        status = REJECTED if is_rejected else RENDERED
        similarity = picture.settings.get("similarity")

        def on_saved(saved: Render) -> None:
            self._on_outcome(Outcome(status, wanted.job, saved.path, None, wanted.seed, similarity, saved))

        def on_failed(error: FaceIDError) -> None:
            if is_rejected:
                self._on_note(f"picture {wanted.job.index}: seed {wanted.seed} is not kept: {error.message}")
            else:
                self.failed(wanted, error)

        self._sink.put(picture, wanted, is_rejected, on_saved, on_failed)

    def finished(self) -> None:
        """Tell of the pictures that are where they belong."""
        self._sink.finished()

    def failed(self, picture: Wanted, error: FaceIDError) -> None:
        """Tell that a picture failed, or see to it that it is tried again."""
        if picture.retries > 0 and not isinstance(error, UsageError | UnknownNameError | NotAlikeError):
            self._on_note(f"picture {picture.job.index} failed and is tried again: {error.message}")
            self.again.append(replace(picture, retries=picture.retries - 1))
            return
        error = located(_copy(error), picture.job.place)
        self._on_outcome(Outcome(FAILED, picture.job, error=error, seed=picture.seed))
        if self._fail_fast:
            self.last = error
            raise error


def not_alike(picture: Wanted, score: str = "") -> NotAlikeError:
    """The error for a picture that no seed made like the person."""
    order = picture.order
    tries = "1 seed" if order.tries == 1 else f"{order.tries} seeds"
    last = f"; the last had {score}" if score else ""
    return NotAlikeError(
        f"no picture of {' and '.join(order.names)} reached {order.min_likeness} with {tries}{last}",
        f"they are in {REJECTED_FOLDER}/; more --tries, a lower --min-likeness, or a higher --likeness",
    )


def _copy(error: FaceIDError) -> FaceIDError:
    """The same error once more: of each picture the place is put into its message.

    It is kept until all is done, so where memory was short, what led to it is left out: that holds on to all of it.
    """
    copy = error.__class__.__new__(error.__class__)
    copy.__dict__.update(error.__dict__)
    copy.args = error.args
    copy.__cause__ = None if isinstance(error, OutOfMemoryError) else error.__cause__ or error
    return copy

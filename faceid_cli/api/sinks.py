"""Where finished pictures go: into files, or into memory."""

from __future__ import annotations

from faceid_cli.api.already import REJECTED, Already
from faceid_cli.api.saving import OnFailed, OnSaved, Saver
from faceid_cli.api.wanted import Wanted
from faceid_cli.types import Render


class Files:
    """Writes pictures under their names, and those that are not like the person into a folder beside.

    Args:
        saver: Writes them.
        already: Is told of them.
    """

    def __init__(self, saver: Saver, already: Already) -> None:
        self._saver, self._already = saver, already

    def put(self, picture: Render, wanted: Wanted, is_rejected: bool, on_saved: OnSaved, on_failed: OnFailed) -> None:
        """See `mixing.Sink`."""
        path = wanted.path
        if is_rejected:
            path = path.parent / REJECTED / f"{path.stem}-{picture.settings['similarity']:.2f}{path.suffix}"
        elif wanted.target is not None:
            path = wanted.target

        def saved(render: Render) -> None:
            assert render.path is not None
            self._already.add(render.settings["request"], render.path)
            on_saved(render)

        overwrites = wanted.order.overwrite and not is_rejected
        self._saver.save(picture, path, wanted, overwrites, saved, on_failed)

    def finished(self) -> None:
        """See `mixing.Sink`."""
        self._saver.finished()


class Memory:
    """Keeps pictures; those that are not like the person are dropped."""

    def put(self, picture: Render, wanted: Wanted, is_rejected: bool, on_saved: OnSaved, on_failed: OnFailed) -> None:
        """See `mixing.Sink`."""
        if not is_rejected:
            on_saved(picture)

    def finished(self) -> None:
        """See `mixing.Sink`."""

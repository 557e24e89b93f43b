"""One process at a time renders a batch: another one with the same rows would render every picture once more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from faceid_cli.errors import BatchError
from faceid_cli.kept.locks import locked
from faceid_cli.kept.paths import batches_dir
from faceid_cli.kept.remote import whole_path


@contextmanager
def claimed_batch(requests: Iterable[str], root: Path) -> Iterator[None]:
    """Hold a batch while the context lasts; the system lets go of it when its process ends, however it ends.

    Args:
        requests: Hashes of all its pictures, of those that are there, too.
        root: The folder that they go to.

    Raises:
        BatchError: Another process of this user renders the same just now.
    """
    what = "\n".join([str(whole_path(root)), *sorted(requests)])
    file = batches_dir() / f"{sha256(what.encode()).hexdigest()[:16]}.lock"
    with ExitStack() as held:
        try:
            is_ours = held.enter_context(locked(file))
        except OSError:  # a home that cannot be written: pictures are not recorded there either
            is_ours = True
        if not is_ours:
            raise BatchError(
                "another process is rendering these pictures", "wait for it; --devices shares a batch among GPUs"
            )
        yield

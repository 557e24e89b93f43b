"""What errors that are not ours become: the system's, those of the command line, and the end of a question."""

from __future__ import annotations

import errno
import os

import typer

from faceid_cli.errors import FaceIDError, InterruptedRunError, OutputError

_REFUSALS = {
    errno.EACCES: "check the permissions, or give another path",
    errno.EPERM: "check the permissions, or give another path",
    errno.EROFS: "the file system is read-only: give another path",
    errno.ENOSPC: "free some disk space and try again",
    errno.EDQUOT: "free some disk space and try again",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.EIO: "check the disk, or give another path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file, not a folder",
    errno.ELOOP: "check the links",
}


def refused_error(error: OSError) -> FaceIDError | None:
    """What the system does not let us do with a file, or None for everything else."""
    if error.errno == errno.ENOENT and _is_nowhere():
        refused = OutputError("the folder that this runs in is gone", "go to another one")
    elif error.errno in _REFUSALS:
        file, reason = error.filename or "a file", (error.strerror or str(error)).lower()
        refused = OutputError(f"cannot use {file}: {reason}", _REFUSALS[error.errno])
    else:
        return None
    refused.__cause__ = error
    return refused


def _is_nowhere() -> bool:
    """Whether the folder that this runs in has been removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def usage_error(error: typer.TyperException) -> FaceIDError:
    """A mistake on the command line, with where its help is."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "faceid"
    return FaceIDError(message[:1].lower() + message[1:], f"`{where} --help` shows what is possible")


def abort_error(error: typer.Abort) -> FaceIDError:
    """At a question, the end of the input is an answer of a kind; Ctrl-C is Ctrl-C there as anywhere."""
    if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
        return InterruptedRunError("stopped by Ctrl-C", "nothing was done")
    return FaceIDError("nothing was done")

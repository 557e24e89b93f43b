"""Every error that a user can cause, as one class tree.

    FaceIDError                  1  something failed
    ├── UsageError               2  an option, a value or a prompt that cannot work
    │   ├── InvalidNameError     2  a name with other characters than letters, digits, "-" and "_"
    │   └── PromptTooLongError   2  words that fall out of the text encoder's window
    ├── UnknownNameError         3  no identity of that name
    ├── PhotoError               4  photos that cannot be used
    │   ├── PhotoNotFoundError   4  no such file or folder, or no pictures in it
    │   ├── NotAnImageError      4  a file that is not a picture, or a damaged one
    │   ├── NoFaceError          4  a picture without a face
    │   ├── SeveralFacesError    4  more than one face, and no word on which
    │   └── WrongWorldError      4  a photograph given to the built-in model of drawings
    ├── ModelError               5  base model or weights
    │   ├── ModelNotFoundError   5  nothing at that path, or not in the cache
    │   ├── UnsupportedModelError 5 not a Stable Diffusion model of a supported family
    │   ├── ModelMismatchError   5  an identity that belongs to another base model, or a changed one
    │   ├── WeightsMissingError  5  weights of a helper network that are not on this machine
    │   ├── BrokenInstallError   5  installed packages that do not fit each other
    │   └── NotFiniteError       5  NaN or infinity in weights, vectors or pictures
    ├── RegistryError            6  the registry cannot be read or written
    │   └── RegistryTooNewError  6  written by a newer faceid
    ├── NameTakenError           7  an identity of that name exists already
    ├── CheckpointError          8  a training checkpoint that does not match
    ├── OutputError              9  a file that cannot be written or reached: permissions, full disk
    ├── OutOfMemoryError        10  not enough memory
    ├── NotAlikeError            1  no picture was as like the person as was asked for
    ├── BatchError               1  some pictures of a batch failed
    ├── WorkersError             1  other processes and machines that cannot be had, or were lost
    ├── IdentityFileError       11  a file that is no identity, or a damaged one
    ├── BackupFileError         11  a file that is no backup, or a damaged one
    └── InterruptedRunError    130  stopped by Ctrl-C

Only these become one line on stderr; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import Any


class FaceIDError(Exception):
    """Something failed.

    Args:
        message: What went wrong and where, in one line without a full stop at the end.
        hint: What to do next, in one line, or None.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Let errors of workers come here as what they are, whatever their classes are made with."""
        return _again, (self.__class__, self.args), self.__dict__


class UsageError(FaceIDError):
    """An option, a value or a prompt that cannot work."""

    exit_code = 2


class InvalidNameError(UsageError):
    """A name with other characters than letters, digits, "-" and "_", or not 1 to 64 long."""


class PromptTooLongError(UsageError):
    """Words of the prompt fall out of the text encoder's window."""


class UnknownNameError(FaceIDError):
    """No identity of that name is in the registry."""

    exit_code = 3


class PhotoError(FaceIDError):
    """Photos that cannot be used."""

    exit_code = 4


class PhotoNotFoundError(PhotoError):
    """No such file or folder, or a folder without pictures."""


class NotAnImageError(PhotoError):
    """A file that is not a picture, or one that is damaged or truncated."""


class NoFaceError(PhotoError):
    """A picture without a face."""


class SeveralFacesError(PhotoError):
    """A picture with more than one face, and no word on which one is meant."""


class WrongWorldError(PhotoError):
    """A photograph given to the built-in model, which only knows drawn portraits."""


class ModelError(FaceIDError):
    """Trouble with a base model or with the weights of a helper network."""

    exit_code = 5


class ModelNotFoundError(ModelError):
    """Nothing at that path, or the hub model is not in the local cache."""


class UnsupportedModelError(ModelError):
    """Not a Stable Diffusion model, or one of a family that is not supported."""


class ModelMismatchError(ModelError):
    """An identity that belongs to another base model, or the base model has changed since."""


class WeightsMissingError(ModelError):
    """Weights of a helper network are not on this machine."""


class BrokenInstallError(ModelError):
    """Installed packages do not fit each other."""


class NotFiniteError(ModelError):
    """NaN or infinity in weights, in vectors, or in what was to become a picture."""


class RegistryError(FaceIDError):
    """The registry cannot be read or written."""

    exit_code = 6


class RegistryTooNewError(RegistryError):
    """The registry was written by a newer version of faceid."""


class NameTakenError(FaceIDError):
    """An identity of that name exists already."""

    exit_code = 7


class CheckpointError(FaceIDError):
    """A training checkpoint that does not match the run it should continue."""

    exit_code = 8


class OutputError(FaceIDError):
    """A file that cannot be written: permissions, a folder that does not exist, a full disk."""

    exit_code = 9


class OutOfMemoryError(FaceIDError):
    """Not enough memory on the device."""

    exit_code = 10


class NotAlikeError(FaceIDError):
    """No picture was as like the person as was asked for, whatever the seed."""


class BatchError(FaceIDError):
    """Some pictures of a batch failed; the others are there."""


class WorkersError(FaceIDError):
    """Processes or machines that were to share the work cannot be had, do not fit, or were lost."""


class IdentityFileError(FaceIDError):
    """A file that is no identity, is damaged, or was written by a newer faceid."""

    exit_code = 11


class BackupFileError(FaceIDError):
    """A file that is no backup, is damaged, or was written by a newer faceid."""

    exit_code = 11


class InterruptedRunError(FaceIDError):
    """Stopped by Ctrl-C; what was done so far is saved where the message says."""

    exit_code = 130


def _again(kind: type[FaceIDError], arguments: tuple[Any, ...]) -> FaceIDError:
    error = kind.__new__(kind)
    error.args = arguments
    return error

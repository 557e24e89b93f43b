"""Out of memory, on any device, as one error that says what to try next."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from faceid_cli.errors import OutOfMemoryError

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


@contextmanager
def memory_errors(hint: str) -> Iterator[None]:
    """Turn every kind of "out of memory" raised inside, on any device, into `OutOfMemoryError` with this hint."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError("not enough memory", hint) from error
    except RuntimeError as error:  # torch.cuda.OutOfMemoryError is one; the CPU allocator and mps raise plain ones
        if not any(words in str(error).lower() for words in _MEMORY_WORDS):
            raise
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemoryError("not enough memory on the device", hint) from error

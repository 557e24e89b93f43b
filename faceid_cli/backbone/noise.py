"""What the libraries log that says nothing: no hint, no weight, no word of the user's is behind it."""

from __future__ import annotations

import logging

# diffusers says it whenever the parts of a model to be kept in float32 are looked up for a cast, and there are none.
_EMPTY = "should be kept in float32: []"


def _says_something(record: logging.LogRecord) -> bool:
    return _EMPTY not in record.getMessage()


def drop_empty_warnings() -> None:
    """Let the libraries not warn of nothing; a warning that names a part, a weight or a word is left alone."""
    # Of a logger's filters only those that are its own are asked, so it has to be the very one that warns.
    logging.getLogger("diffusers.models.modeling_utils").addFilter(_says_something)

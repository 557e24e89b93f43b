"""Rows of a registry that was damaged: what of them can still be read, so that one does not hide all others.

Needs no SQLModel, as `quick.py` and `forgetting.py`, which read the same rows.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.types import Identity

if TYPE_CHECKING:
    from faceid_cli.registry.tables import IdentityRow

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TEXTS = ("name", "class_word", "base_model", "base_fingerprint", "created", "note", "consent")


def text_from(content: bytes) -> str:
    """A text of the database; bytes that are none are kept as Python keeps those of file names."""
    return content.decode("utf-8", "surrogateescape")


def _is_whole(text: str) -> bool:
    """Whether all bytes of a text that `text_from` found were text."""
    return text == text.encode("utf-8", "replace").decode()


def json_from(content: Any) -> Any:
    """A JSON value of the database; None for what is none."""
    try:
        return json.loads(content)
    except (ValueError, TypeError, RecursionError):
        return None


def identity_from(row: IdentityRow, folder: Path) -> Identity:
    """The identity of a row; what is damaged is empty, and is named in `damaged`.

    Args:
        row: As the database has it: its types are promised by nobody.
        folder: Of the embeddings.
    """
    texts = {name: getattr(row, name) for name in _TEXTS}
    damaged = [name for name, value in texts.items() if not isinstance(value, str)]
    damaged += ["name"] if "name" not in damaged and not _is_whole(row.name) else []  # folders are named after it
    texts |= dict.fromkeys(damaged, "")
    identity_id = id_from(row.id)
    if identity_id != row.id:
        damaged.append("id")
    method: Any = row.method
    if not isinstance(method, dict):
        damaged.append("method")
        method = {}
    lists: dict[str, Any] = {}
    for name in ("photo_hashes", "tags"):
        values = getattr(row, name)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            damaged.append(name)
            values = []
        lists[name] = tuple(values)
    path = folder / f"{identity_id}.safetensors"
    texts["name"] = texts["name"] or identity_id
    return Identity(id=identity_id, method=method, path=path, damaged=tuple(damaged), **texts, **lists)


def id_from(value: Any) -> str:
    """An id of the database, which becomes a part of paths; one that cannot, is replaced by a digest of it."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    return hashlib.sha256(repr(value).encode("utf-8", "replace")).hexdigest()[:32]


def number_from(value: Any) -> float:
    """A number of the database; 0 for what is none."""
    return float(value) if isinstance(value, int | float) else 0.0


def table_from(value: Any) -> dict[str, Any]:
    """A JSON object of the database; empty for what is none."""
    return value if isinstance(value, dict) else {}


def losses_from(value: Any) -> tuple[tuple[float, float], ...]:
    """Pairs of losses of the database; without what is none."""
    pairs = value if isinstance(value, list) else []
    return tuple(
        (float(pair[0]), float(pair[1]))
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, int | float) for each in pair)
    )

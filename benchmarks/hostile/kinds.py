"""What is damaged and read: small real files of every kind that faceid takes from others, and their readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.hostile.models import Folders, lora, pickles, weights
from benchmarks.hostile.one_file import Kind
from benchmarks.hostile.people import Registries, bundle, identity, imported
from benchmarks.hostile.pictures import metadata, photos

KINDS: dict[str, Callable[[Path], Kind]] = {
    "identity": identity,
    "imported": imported,
    "bundle": bundle,
    "weights": weights,
    "pickles": pickles,
    "lora": lora,
    "folders": Folders,
    "loaded": lambda folder: Folders(folder, is_loaded=True),
    "metadata": metadata,
    "photos": photos,
    "registry": Registries,
    "rows": lambda folder: Registries(folder, by_row=True),
}

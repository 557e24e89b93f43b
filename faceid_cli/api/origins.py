"""What goes into a picture's record of where it comes from, beside how it was sampled: people, files, writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from faceid_cli.api.opening import Opened
from faceid_cli.kept.settings import read_setting
from faceid_cli.model_files import model_path
from faceid_cli.model_files.file_hashes import known_hashes
from faceid_cli.model_files.lora import parse_lora
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.checks import user_path


def origins_of(
    order: RenderOrder, opened: Opened, embeddings: Mapping[str, Path], embedding_files: Iterable[Path]
) -> dict[str, object]:
    """Settings by name; `sources`, whole paths for `faceid replay`, stay on this machine.

    Args:
        order: The order.
        opened: Its people and base model.
        embeddings: Files or folders of others by the words that stand for them, as they were given.
        embedding_files: All files that those are.

    Raises:
        ModelError: A file cannot be read.
    """
    loading = opened.loading
    hashes, of_loras = known_hashes(
        model_path(opened.source, loading.variant), loading.vae, loading.loras or (), embedding_files
    )
    given = [*order.files.values(), *embeddings.values(), *(path for path, _ in map(parse_lora, loading.loras or ()))]
    given += [Path(path) for path in (loading.vae, order.control[1] if order.control else None) if path]
    return {
        "identity_hashes": {name: file.digest for name, file in opened.stored.items()},
        "hashes": hashes,
        "lora_hashes": of_loras,
        "prompt_writer": read_setting("prompt-writer"),
        "sources": [str(user_path(path).absolute()) for path in given],
    }

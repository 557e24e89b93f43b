"""How identities and pictures are shown, the same in every command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from faceid_cli.cli.output import out
from faceid_cli.types import Identity, Render


def identity_data(identity: Identity) -> dict[str, Any]:
    """The stable JSON keys of an identity."""
    return {
        "name": identity.name,
        "id": identity.id,
        "class_word": identity.class_word,
        "base_model": identity.base_model,
        "base_fingerprint": identity.base_fingerprint,
        "method": identity.method,
        "photo_hashes": list(identity.photo_hashes),
        "created": identity.created,
        "tags": list(identity.tags),
        "note": identity.note,
        "consent": identity.consent,
        "file": str(identity.path),
        **({"damaged": list(identity.damaged)} if identity.damaged else {}),
    }


def render_data(render: Render) -> dict[str, Any]:
    """The stable JSON keys of a picture."""
    return {
        "file": str(render.path),
        "seed": render.request.seed,
        "prompt": render.request.prompt,
        "names": list(render.request.names),
        "settings": render.settings,
    }


def render_lines(renders: Sequence[Render]) -> list[str]:
    """One line per picture: where it is, and the seed that makes it again."""
    return [f"{render.path}  seed {render.request.seed}" for render in renders]


def show_renders(command: str, renders: Sequence[Render]) -> None:
    """Print pictures that were made."""
    out.result(
        {"command": command, "renders": [render_data(render) for render in renders]},
        render_lines(renders),
        [str(render.path) for render in renders],
    )


def method_text(method: Mapping[str, Any]) -> str:
    """A method in a few words."""
    name = str(method.get("method", "unknown"))
    return f"{name}, {method['steps']} steps" if "steps" in method else name


def plural(count: int, word: str) -> str:
    """A number with its noun."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"

"""Pictures in the registry."""

from __future__ import annotations

from faceid_cli.registry.records import NewRender
from faceid_cli.registry.store import Registry
from faceid_cli.types import Render


def record_picture(picture: Render, ids: tuple[str, ...]) -> bool:
    """Let the registry know of a picture that was written; False where it can only be read."""
    assert picture.path is not None
    request = picture.request
    with Registry.open() as registry:
        if registry.is_read_only:
            return False
        registry.add_renders([NewRender(ids, picture.path.absolute(), request.prompt, request.seed, picture.settings)])
        return True

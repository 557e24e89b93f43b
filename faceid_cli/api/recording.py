"""Pictures in the registry."""

from __future__ import annotations

from faceid_cli.registry.records import NewRender
from faceid_cli.registry.requests import forget_pictures
from faceid_cli.registry.store import Registry
from faceid_cli.types import Render


def record_picture(picture: Render, ids: tuple[str, ...], replaces: bool = False) -> bool:
    """Let the registry know of a picture that was written; False where it can only be read.

    Args:
        picture: With its path.
        ids: Of the people in it.
        replaces: Whether it took the place of another one, which the registry then forgets.
    """
    assert picture.path is not None
    request = picture.request
    with Registry.open() as registry:
        if registry.is_read_only:
            return False
        if replaces:
            forget_pictures(registry, picture.path.absolute())
        registry.add_renders([NewRender(ids, picture.path.absolute(), request.prompt, request.seed, picture.settings)])
        return True

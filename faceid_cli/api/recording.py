"""Pictures in the registry, and what is said of those that are finished."""

from __future__ import annotations

from collections.abc import Sequence

from faceid_cli.kept import paths
from faceid_cli.kept.remote import whole_path
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
    return record_pictures([(picture, ids, replaces)])


def record_pictures(pictures: Sequence[tuple[Render, tuple[str, ...], bool]]) -> bool:
    """The same for several, all or none: each as (picture, ids, replaces).

    Raises:
        UnknownNameError: Somebody in them has been removed meanwhile.
    """
    with Registry.open() as registry:
        if registry.is_read_only:
            return False
        for picture, _, replaces in pictures:
            if replaces and picture.path is not None:
                forget_pictures(registry, whole_path(picture.path))
        registry.add_renders([_row(picture, ids) for picture, ids, _ in pictures])
        return True


def _row(picture: Render, ids: tuple[str, ...]) -> NewRender:
    assert picture.path is not None
    request = picture.request
    return NewRender(ids, whole_path(picture.path), request.prompt, request.seed, picture.settings)


def not_recorded() -> str:
    """What is told where the registry can only be read."""
    return f"the registry {paths.registry_file()} cannot be written, so it does not know of these pictures"


def finished(pictures: Sequence[Render]) -> str:
    """How many there are where something went wrong after them, in words."""
    done = "1 picture is" if len(pictures) == 1 else f"{len(pictures)} pictures are"
    return f"{done} finished, the last is {pictures[-1].path}"

"""Who is in a picture with several people, and where: settled from an order before anything is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from faceid_cli.api.opening import Opened
from faceid_cli.errors import UsageError
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.composing import AUTO, MOST_PEOPLE, NO_LAYOUT, check_named, is_layout_file
from faceid_cli.rendering.layout_figure import draw_layout
from faceid_cli.rendering.layouts import Cast, check_people, given_layout, grid_of, read_layout_file, written_layout
from faceid_cli.rendering.save import plan_output, save_picture
from faceid_cli.rendering.scene import read_scene
from faceid_cli.types import Render

_MOST_DRAWN = 3
"""So many people are in the pictures that the built-in model was trained on."""


def with_layout(order: RenderOrder) -> RenderOrder:
    """The order with its layout file read: the regions in it take its place.

    Raises:
        UsageError: A layout file and regions at once, a file that holds none, or the likeness of a stranger.
    """
    config = order.config
    check_named(config.likeness_of, order.names)
    if config.layout is None or not is_layout_file(config.layout):
        return order
    if config.region:
        raise UsageError("regions are given twice, in a file and with --region", "leave out one of them")
    regions = read_layout_file(user_path(Path(config.layout)))
    return replace(order, config=replace(config, layout=None, region=regions))


def cast_of(order: RenderOrder, opened: Opened, prompt: str) -> Cast | None:
    """The people of a picture that has several, and their regions as far as they are known; None for one without any.

    Args:
        order: With names as the registry writes them.
        opened: Its people.
        prompt: Normalised, people as `<name>`.

    Raises:
        UsageError: Regions for a single person, or others than those of the layout that is named, or what is wrong with
            a layout, see `rendering.layouts`.
    """
    config = order.config
    if not order.has_regions:
        return None
    scene = read_scene(prompt, {person.name: person.class_word for person in opened.people})
    count = len(scene.figures)
    if count < 2:
        raise UsageError(
            f"the prompt has nobody but {order.names[0]}, so there is nobody to keep apart",
            'name others, such as "<alice> and an old man", or leave out --layout and --region',
        )
    check_people(count, _MOST_DRAWN if opened.is_builtin else MOST_PEOPLE)
    how = config.layout or AUTO
    grid = None if how in (AUTO, NO_LAYOUT) else grid_of(how, count)
    if not config.region:
        return Cast(scene, how, grid)
    given = given_layout(config.region, scene.figures)
    # What a picture says of itself names both, so they may agree.
    if grid is not None and given != given_layout(written_layout(scene.figures, grid), scene.figures):
        raise UsageError(f"regions are given twice, by the layout {how} and by --region", "leave out one of them")
    return Cast(scene, how, given)


def save_layout(picture: Render) -> Path:
    """Write a picture that has been written once more beside it, with the regions of its people drawn over it.

    Returns:
        Its file, NAME-layout.png; nothing is overwritten.

    Raises:
        OutputError: It cannot be written.
    """
    assert picture.path is not None
    plan = plan_output(picture.path.with_name(f"{picture.path.stem}-layout.png"), "", 1)
    return save_picture(draw_layout(picture.image, picture.settings.get("region", ())), plan)

"""Options that were said and change nothing, because of what else was said or was not: each is told, not refused."""

from __future__ import annotations

from collections.abc import Iterator

from faceid_cli.orders.option import leaves
from faceid_cli.orders.rendering import SUFFIXES, RenderOrder, suffix_of


def idle_options(order: RenderOrder) -> dict[str, str]:
    """What to tell of each option of an order that changes nothing, by its field."""
    return {field: f"{leaves(RenderOrder)[field][0].flags[0]} changes nothing {why}" for field, why in _idle(order)}


def _idle(order: RenderOrder) -> Iterator[tuple[str, str]]:
    """Fields that change nothing, and why."""
    config, unlike = order.config, _unlike_usual(order)
    missing = {
        "strength": ("--init or --into", order.init is None and order.into is None),
        "control_scale": ("--control", order.control is None),
        "hires_strength": ("--hires", config.hires == 1),
        "tries": ("--min-likeness", order.min_likeness is None),
    }
    for field, (other, is_missing) in missing.items():
        if field in unlike and is_missing:
            yield field, f"without {other}"
    if "likeness" in unlike and config.likeness_keys is not None and config.likeness_values is not None:
        yield "likeness", "beside both --likeness-k and --likeness-v"
    if config.guidance_scale is not None and config.guidance_scale <= 1:
        if config.negative_prompt:
            yield "negative_prompt", "without guidance: --guidance-scale is to be above 1"
        if config.guided not in (None, 1):
            yield "guided", "without guidance: --guidance-scale is to be above 1"
    if config.repair and not order.has_regions:
        yield "repair", "where nobody has a region"
    suffix = "" if order.output is None else order.output.suffix.lower()
    if suffix in SUFFIXES and SUFFIXES[suffix] != order.format != "png":
        yield "format", f"of a file that is called {order.output}; give a folder, or {suffix_of(order.format)}"


def _unlike_usual(order: RenderOrder) -> set[str]:
    """Fields with another value than that of whom says nothing."""
    values = {**vars(order.config), **vars(order)}
    return {field for field, (_, _, default) in leaves(RenderOrder).items() if values.get(field, default) != default}

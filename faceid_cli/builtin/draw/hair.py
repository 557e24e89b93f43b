"""The hair of a figure, in head coordinates (see head.py); how each style falls is in hair_styles.py."""

from __future__ import annotations

from faceid_cli.builtin.draw import svg
from faceid_cli.builtin.draw.hair_styles import BEHIND, IN_FRONT, Brush
from faceid_cli.builtin.draw.head import hair_color, half_size
from faceid_cli.builtin.draw.picture import Figure


def hair(figure: Figure, prefix: str) -> tuple[str, str, str]:
    """Gradient definitions, the hair behind the head, and the hair in front of it."""
    tint = hair_color(figure)
    definitions = svg.linear(
        f"{prefix}h",
        [(0, svg.color(svg.light(tint, 0.26))), (0.4, svg.color(tint)), (1, svg.color(svg.dark(tint, 0.34)))],
    )
    w, h = half_size(figure.person)
    brush = Brush(
        w,
        h,
        fill=f"url(#{prefix}h)",
        deep=svg.color(svg.dark(tint, 0.30)),
        strand=svg.color(svg.dark(tint, 0.35)),
        shine=svg.color(svg.light(tint, 0.42)),
        covered="cap" in figure.attributes,
    )
    style = figure.person.hair_style
    behind, in_front = BEHIND.get(style), IN_FRONT.get(style)
    return definitions, behind(brush) if behind else "", in_front(brush) if in_front else ""

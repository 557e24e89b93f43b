"""Cap, crown and headphones of a figure, in head coordinates (see head.py)."""

from __future__ import annotations

from faceid_cli.builtin.draw import svg
from faceid_cli.builtin.draw.head import half_size
from faceid_cli.builtin.draw.picture import Figure


def headwear(figure: Figure) -> str:
    """All that the figure wears on the head."""
    w, h = half_size(figure.person)
    worn = (("headphones", _headphones), ("cap", _cap), ("crown", _crown))
    return "".join(draw(w, h) for word, draw in worn if word in figure.attributes)


def _headphones(w: float, h: float) -> str:
    bow = f"M{-w - 1:.2f},{-0.05 * h:.2f} C{-w - 2:.2f},{-1.45 * h:.2f} {w + 2:.2f},{-1.45 * h:.2f} {w + 1:.2f},{-0.05 * h:.2f}"
    parts = [svg.line(bow, "#2b2d34", 3.4)]
    for side in (-1, 1):
        parts.append(svg.rect(side * (w + 1.5) - 3.6, -0.16 * h, 7.2, 0.46 * h, "#d8433c", 'rx="3.2"'))
        parts.append(svg.rect(side * (w - 0.6) - 1.6, -0.14 * h, 3.2, 0.42 * h, "#23252b", 'rx="1.6"'))
    return "".join(parts)


def _cap(w: float, h: float) -> str:
    dome = f"M{-w - 1.2:.2f},{-0.40 * h:.2f} C{-w - 1:.2f},{-1.38 * h:.2f} {w + 1:.2f},{-1.38 * h:.2f} {w + 1.2:.2f},{-0.40 * h:.2f} Q0,{-0.60 * h:.2f} {-w - 1.2:.2f},{-0.40 * h:.2f} Z"
    brim = f"M{-w + 1:.2f},{-0.44 * h:.2f} Q0,{-0.64 * h:.2f} {w - 1:.2f},{-0.44 * h:.2f} Q{w + 9:.2f},{-0.34 * h:.2f} {w + 6:.2f},{-0.28 * h:.2f} Q0,{-0.42 * h:.2f} {-w - 5:.2f},{-0.28 * h:.2f} Q{-w - 8:.2f},{-0.36 * h:.2f} {-w + 1:.2f},{-0.44 * h:.2f} Z"
    badge = svg.ellipse(0, -0.82 * h, 4.6, 4.2, "#f3f1ea")
    button = svg.ellipse(0, -1.13 * h, 1.6, 1.2, "#1f4c80")
    return svg.path(dome, "#2f6db0") + svg.path(brim, "#1f4c80") + badge + button


def _crown(w: float, h: float) -> str:
    y, top = -0.72 * h, -1.34 * h
    tips = [(-w, top), (-0.45 * w, y - 6), (0, top - 3), (0.45 * w, y - 6), (w, top)]
    points = [(-0.86 * w, y), *tips, (0.86 * w, y)]
    jewels = ((-0.5, "#cf3d44"), (0, "#3a79c9"), (0.5, "#cf3d44"))
    return svg.polygon(points, "#f0c13c", 'stroke="#b98a1e" stroke-width="1"') + "".join(
        svg.ellipse(x * w, y - 3.4, 1.8, 1.8, shade) for x, shade in jewels
    )

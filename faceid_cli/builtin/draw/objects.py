"""Things people hold, each drawn around the origin within about 15 units, and things they share."""

from __future__ import annotations

from faceid_cli.builtin.draw import svg


def held(name: str) -> str:
    """SVG of a held object.

    Raises:
        KeyError: Not a word of vocabulary.HELD_OBJECTS.
    """
    return _HELD[name]()


def chess(width: float) -> str:
    """A chess board with pieces, its middle at the origin, seen from the front."""
    half = width / 2
    parts = [svg.polygon([(-half + 7, -9), (half - 7, -9), (half, 9), (-half, 9)], "#6b4326")]
    for row in range(3):
        for column in range(8):
            y = -7.5 + 5 * row
            inset = 5.5 - 2.2 * row
            cell = (width - 2 * inset - 4) / 8
            shade = "#f1dfbd" if (row + column) % 2 else "#7d4f2d"
            parts.append(svg.rect(-half + inset + 2 + column * cell, y, cell, 5, shade))
    for place, shade in ((-0.36, "#f7f3ea"), (-0.16, "#f7f3ea"), (0.14, "#25211f"), (0.36, "#25211f")):
        x = place * width
        parts.append(svg.polygon([(x - 3.4, -1), (x + 3.4, -1), (x + 1.6, -9), (x - 1.6, -9)], shade))
        parts.append(svg.ellipse(x, -11, 3, 3, shade))
    return "".join(parts)


def _basketball() -> str:
    seam = "#3b2113"
    return (
        svg.ellipse(0, 0, 14, 14, "#e07b2c")
        + svg.ellipse(-4, -5, 6, 5, "#f0a057", 'opacity="0.6"')
        + svg.line("M-14,0 H14 M0,-14 V14", seam, 1.3)
        + svg.line("M-10,-9.8 Q-3,0 -10,9.8 M10,-9.8 Q3,0 10,9.8", seam, 1.3)
    )


def _soccer_ball() -> str:
    parts = [svg.ellipse(0, 0, 13.5, 13.5, "#f5f4f0", 'stroke="#8b8d92" stroke-width="0.8"')]
    parts.append(svg.polygon([(0, -5), (4.8, -1.5), (3, 4.1), (-3, 4.1), (-4.8, -1.5)], "#26272b"))
    for points in (
        [(-4, -13), (4, -13), (2.5, -9.6), (-2.5, -9.6)],
        [(10, -9), (13.3, -2), (9.8, -3), (8.2, -6.4)],
        [(-10, -9), (-13.3, -2), (-9.8, -3), (-8.2, -6.4)],
        [(11, 7.6), (5, 12.5), (5.4, 8.6), (8.6, 6.2)],
        [(-11, 7.6), (-5, 12.5), (-5.4, 8.6), (-8.6, 6.2)],
    ):
        parts.append(svg.polygon([(float(x), float(y)) for x, y in points], "#26272b"))
    return "".join(parts)


def _coffee_cup() -> str:
    return (
        svg.line("M8,-4 Q16,-4 15,2 Q14,7 7,6", "#e9e4da", 2.6)
        + svg.path("M-10,-9 L10,-9 L8,11 Q0,14 -8,11 Z", "#f7f3ec", 'stroke="#b9b2a5" stroke-width="0.8"')
        + svg.ellipse(0, -9, 10, 3, "#5a3620")
        + svg.rect(-9, -2, 18, 6, "#b8483d")
        + svg.line("M-4,-13 q3,-3 0,-6 M3,-13 q3,-3 0,-6", "#ffffff", 1.4, 'opacity="0.75"')
    )


def _book() -> str:
    return (
        svg.path("M-15,-10 Q-7,-13 0,-9 Q7,-13 15,-10 V10 Q7,7 0,11 Q-7,7 -15,10 Z", "#8c2f39")
        + svg.path("M-13.5,-10 Q-7,-12 0,-8 V9 Q-7,5.5 -13.5,8 Z", "#faf6ea")
        + svg.path("M13.5,-10 Q7,-12 0,-8 V9 Q7,5.5 13.5,8 Z", "#efe8d6")
        + "".join(svg.line(f"M-11,{y} L-3,{y + 1} M3,{y + 1} L11,{y}", "#8d8779", 0.9) for y in (-6, -2, 2))
    )


def _flowers() -> str:
    parts = [
        svg.polygon([(-6, 14), (6, 14), (11, -1), (-11, -1)], "#e7dcc6"),
        svg.line("M-5,0 L-2,12 M0,0 V12 M5,0 L2,12", "#4d8a4a", 1.4),
    ]
    for x, y, shade in (
        (-8, -4, "#d94a6a"),
        (8, -4, "#d94a6a"),
        (0, -3, "#f2b632"),
        (-4, -11, "#f2b632"),
        (5, -11, "#d94a6a"),
    ):
        parts.append(
            "".join(
                svg.ellipse(x + dx, y + dy, 3.1, 3.1, shade) for dx, dy in ((-2.4, 0), (2.4, 0), (0, -2.4), (0, 2.4))
            )
        )
        parts.append(svg.ellipse(x, y, 1.9, 1.9, "#fff3c9"))
    return "".join(parts)


def _guitar() -> str:
    shape = (
        svg.rect(-2, -29, 4, 24, "#5a3420")
        + svg.rect(-3.4, -34, 6.8, 7, "#3a2013", 'rx="1.5"')
        + svg.ellipse(0, -2, 8.6, 7.6, "#c9873e")
        + svg.ellipse(0, 9, 11.5, 10, "#c9873e")
        + svg.ellipse(0, 3, 4, 4, "#3a2013")
        + svg.rect(-5, 12, 10, 2.2, "#5a3420")
        + svg.line("M-0.8,-28 V12 M0.8,-28 V12", "#efe3c8", 0.5)
    )
    return svg.group(shape, "rotate(38) translate(0,2)")


def _balloon() -> str:
    return (
        svg.line("M0,14 Q3,2 0,-14", "#6d6d72", 0.9)
        + svg.path("M0,-13 C-16,-22 -13,-44 0,-44 C13,-44 16,-22 0,-13 Z", "#d9363e")
        + svg.polygon([(-2.4, -10.6), (2.4, -10.6), (0, -14)], "#a8242d")
        + svg.ellipse(-4.6, -35, 2.6, 4.4, "#f58d90", 'opacity="0.8"')
    )


def _cat() -> str:
    fur = "#8d8f96"
    return (
        svg.ellipse(0, 8, 12, 9, fur)
        + svg.polygon([(-10, -6), (-9, -17), (-2, -11)], fur)
        + svg.polygon([(10, -6), (9, -17), (2, -11)], fur)
        + svg.polygon([(-8.4, -9), (-8, -14), (-4.6, -11)], "#e7a9a9")
        + svg.polygon([(8.4, -9), (8, -14), (4.6, -11)], "#e7a9a9")
        + svg.ellipse(0, -5, 10.5, 8.8, fur)
        + svg.ellipse(-4, -6, 2.2, 2.5, "#e3d34f")
        + svg.ellipse(4, -6, 2.2, 2.5, "#e3d34f")
        + svg.ellipse(-4, -6, 0.8, 2.2, "#17161a")
        + svg.ellipse(4, -6, 0.8, 2.2, "#17161a")
        + svg.ellipse(0, -1.8, 3.8, 2.8, "#e9e6e1")
        + svg.polygon([(-1.3, -3), (1.3, -3), (0, -1.4)], "#d4727a")
        + svg.line("M-4,-1.5 L-11,-2.6 M-4,-0.6 L-11,0.8 M4,-1.5 L11,-2.6 M4,-0.6 L11,0.8", "#f3f1ee", 0.5)
    )


def _apple() -> str:
    return (
        svg.path("M0,-7 C-4,-11 -12,-9 -12,0 C-12,9 -5,14 0,11.4 C5,14 12,9 12,0 C12,-9 4,-11 0,-7 Z", "#b9d046")
        + svg.ellipse(-5, -2, 3, 4.4, "#e4f096", 'opacity="0.8"')
        + svg.line("M0,-7 Q0.5,-11 3,-13", "#5a3a20", 1.6)
        + svg.path("M2,-11 Q8,-16 12,-11 Q7,-8 2,-11 Z", "#4c9444")
    )


def _pizza() -> str:
    parts = [
        svg.polygon([(-14, -10), (14, -10), (0, 18)], "#f3c64f"),
        svg.line("M-14,-10 Q0,-16 14,-10", "#c4843c", 4.6),
    ]
    parts += [svg.ellipse(x, y, 3, 2.8, "#c03a2b") for x, y in ((-6, -5), (5, -4), (0, 3), (0, 10.5))]
    parts += [svg.ellipse(x, y, 1.2, 0.9, "#4c8a3c") for x, y in ((-1, -6), (-4.4, 1.4), (4.4, 2))]
    return "".join(parts)


def _teddy_bear() -> str:
    fur, pale = "#a9713d", "#e3bd8d"
    parts = [
        svg.ellipse(x, y, rx, ry, fur)
        for x, y, rx, ry in ((-11, 5, 4, 5), (11, 5, 4, 5), (-6, 15, 4.6, 4), (6, 15, 4.6, 4), (0, 7, 9.6, 9.4))
    ]
    parts += [svg.ellipse(0, 8, 5.6, 6, pale)]
    parts += [svg.ellipse(x, -14, 4, 4, fur) + svg.ellipse(x, -14, 2, 2, pale) for x in (-7.4, 7.4)]
    parts += [svg.ellipse(0, -7.5, 10, 8.8, fur), svg.ellipse(0, -4.6, 4.6, 3.6, pale)]
    parts += [svg.ellipse(x, -9, 1.3, 1.5, "#1c130d") for x in (-4, 4)]
    return "".join(parts) + svg.ellipse(0, -6, 1.7, 1.2, "#1c130d")


def _ice_cream() -> str:
    return (
        svg.polygon([(-7, -1), (7, -1), (0, 18)], "#d9a35b")
        + svg.line("M-4,2 L3,10 M4,2 L-3,10 M0,-1 L4.6,5 M0,-1 L-4.6,5", "#a9743a", 0.8)
        + svg.ellipse(-4.6, -5, 6, 5.6, "#f6b6c6")
        + svg.ellipse(4.6, -5, 6, 5.6, "#9fd8c4")
        + svg.ellipse(0, -12, 6.2, 5.8, "#fbf0d5")
        + svg.ellipse(0, -18, 2.2, 2.2, "#cf2f3d")
    )


_HELD = {
    "basketball": _basketball,
    "soccer ball": _soccer_ball,
    "coffee cup": _coffee_cup,
    "book": _book,
    "flowers": _flowers,
    "guitar": _guitar,
    "balloon": _balloon,
    "cat": _cat,
    "apple": _apple,
    "pizza": _pizza,
    "teddy bear": _teddy_bear,
    "ice cream": _ice_cream,
}

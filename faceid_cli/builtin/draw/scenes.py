"""Backgrounds. Each takes the place of its main feature and a random generator for small details."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from faceid_cli.builtin.draw import svg


def scene(name: str, feature_x: float, variant: int) -> str:
    """SVG of a whole 128 x 128 background.

    Raises:
        KeyError: Not a word of vocabulary.ALL_SCENES.
    """
    return _SCENES[name](feature_x, np.random.default_rng([7, variant]))


def _sky(top: str, bottom: str, height: float = 128) -> str:
    return f"<defs>{svg.linear('sky', [(0, top), (1, bottom)])}</defs>" + svg.rect(0, 0, 128, height, "url(#sky)")


def _clouds(rng: np.random.Generator, count: int = 2) -> str:
    parts = []
    for _ in range(count):
        x, y, size = rng.uniform(5, 123), rng.uniform(8, 32), rng.uniform(0.7, 1.2)
        parts += [
            svg.ellipse(x + dx * size, y + dy * size, r * size, 0.65 * r * size, "#ffffff", 'opacity="0.85"')
            for dx, dy, r in ((-8, 1, 7), (0, -2, 9), (9, 1, 7))
        ]
    return "".join(parts)


def _eiffel_tower(x: float, rng: np.random.Generator) -> str:
    iron, gap = "#6e5847", "#a9c7de"
    tower = svg.path(
        f"M{x - 21},104 Q{x - 7},74 {x - 2.4},8 L{x + 2.4},8 Q{x + 7},74 {x + 21},104 L{x + 12},104 Q{x},84 {x - 12},104 Z",
        iron,
    )
    tower += svg.line(f"M{x},2 V10", iron, 1.4)
    tower += (
        svg.rect(x - 12.5, 76, 25, 3.6, "#544234")
        + svg.rect(x - 7.5, 48, 15, 3, "#544234")
        + svg.rect(x - 4, 17, 8, 2.4, "#544234")
    )
    tower += svg.polygon([(x - 4.4, 74), (x + 4.4, 74), (x, 54)], gap, 'opacity="0.75"')
    tower += svg.line(
        f"M{x - 8},74 L{x + 5},53 M{x + 8},74 L{x - 5},53 M{x - 4},46 L{x + 3},22 M{x + 4},46 L{x - 3},22",
        "#8d7562",
        0.9,
    )
    trees = "".join(svg.ellipse(tx, 104, rng.uniform(9, 13), rng.uniform(6, 10), "#5f8f55") for tx in range(0, 140, 15))
    return _sky("#8fb9dc", "#e9eef0") + _clouds(rng) + tower + trees + svg.rect(0, 106, 128, 22, "#7fae68")


def _beach(x: float, rng: np.random.Generator) -> str:
    trunk = svg.line(f"M{x},104 Q{x + 5},70 {x - 1},42", "#8a6239", 4.2)
    leaves = "".join(
        svg.path(
            f"M{x - 1},42 Q{x + dx * 0.5:.1f},{42 + dy - 9} {x + dx},{42 + dy} Q{x + dx * 0.5:.1f},{42 + dy - 2} {x - 1},42 Z",
            "#3f8f4b",
        )
        for dx, dy in ((-24, 6), (-19, -9), (24, 6), (19, -9), (-12, 16), (13, 16))
    )
    sun = svg.ellipse(128 - x, 20, 9, 9, "#fff2b0")
    sea = svg.rect(0, 58, 128, 30, "#2f9fbf") + "".join(
        svg.line(f"M{rng.uniform(0, 110):.1f},{y} h14", "#bfe9f1", 1.2) for y in (64, 70, 76, 81)
    )
    return (
        _sky("#6fc1ea", "#d8f0f6", 60)
        + sun
        + sea
        + svg.path("M0,88 Q40,82 70,87 T128,86 V128 H0 Z", "#f0d9a4")
        + trunk
        + leaves
    )


def _mountains(x: float, rng: np.random.Generator) -> str:
    parts = []
    for px, height, shade in ((x - 44, 52, "#7a86a5"), (x + 46, 56, "#75819f"), (x, 78, "#5f6c8d")):
        top = 96 - height
        parts.append(svg.polygon([(px - 46, 100), (px, top), (px + 46, 100)], shade))
        parts.append(
            svg.polygon(
                [
                    (px - 13, top + 22),
                    (px, top),
                    (px + 13, top + 22),
                    (px + 5, top + 17),
                    (px, top + 24),
                    (px - 6, top + 17),
                ],
                "#f6f8fb",
            )
        )
    return (
        _sky("#9cc4e4", "#eef3f4")
        + _clouds(rng, 1)
        + "".join(parts)
        + svg.path("M0,96 Q30,88 64,95 T128,94 V128 H0 Z", "#6f9a5a")
    )


def _forest(x: float, rng: np.random.Generator) -> str:
    parts = [_sky("#a8cfa0", "#dcebc6")]
    for depth, shade in ((0, "#5f9a63"), (1, "#3f7a4a"), (2, "#2c5f3a")):
        for place in range(5):
            tx, height = place * 30 + rng.uniform(-9, 9) + depth * 8, rng.uniform(60, 78) + 8 * depth
            base = 88 + 9 * depth
            parts.append(svg.rect(tx - 1.8, base - 10, 3.6, 22, "#5d4330"))
            parts += [
                svg.polygon(
                    [
                        (tx - 13 + 3 * k, base - k * height / 4),
                        (tx + 13 - 3 * k, base - k * height / 4),
                        (tx, base - (k + 1.7) * height / 4),
                    ],
                    shade,
                )
                for k in range(3)
            ]
    return "".join(parts) + svg.rect(0, 104, 128, 24, "#49703f")


def _city_street(x: float, rng: np.random.Generator) -> str:
    parts = [_sky("#a9cbe4", "#e9edee")]
    shades = ["#b9705a", "#c9a877", "#8f9aa8", "#a9846b", "#7f8fa3"]
    for place in range(5):
        left, width, top = place * 27 - 4, 25, rng.uniform(8, 42)
        parts.append(svg.rect(left, top, width, 104 - top, shades[int(rng.integers(5))]))
        for wx in range(3):
            parts += [svg.rect(left + 3 + 7.5 * wx, wy, 4.2, 6, "#f3e7b8") for wy in np.arange(top + 6, 92, 12)]
    return (
        "".join(parts)
        + svg.rect(0, 100, 128, 28, "#6b6d74")
        + svg.line("M4,114 h18 M40,114 h18 M76,114 h18 M112,114 h18", "#f3f0e4", 2)
    )


def _desert(x: float, rng: np.random.Generator) -> str:
    green = "#4f8f4f"
    cactus = svg.rect(x - 4, 46, 8, 58, green, 'rx="4"') + svg.line(
        f"M{x},82 H{x - 14} V64 M{x},74 H{x + 14} V56", green, 6.4
    )
    dunes = svg.path("M0,86 Q36,66 72,86 T128,78 V128 H0 Z", "#e6b469") + svg.path(
        "M0,104 Q50,88 128,106 V128 H0 Z", "#d59a4d"
    )
    return _sky("#f3c987", "#fdf0d0") + svg.ellipse(128 - x, 22, 11, 11, "#fff6d8") + dunes + cactus


def _snow(x: float, rng: np.random.Generator) -> str:
    parts = [_sky("#b9cadb", "#e6eef4"), svg.path("M0,84 Q40,74 80,84 T128,82 V128 H0 Z", "#ffffff")]
    for y, radius in ((92, 14), (71, 10), (55, 7.4)):
        parts.append(svg.ellipse(x, y, radius, radius, "#fbfdff", 'stroke="#b4c6d6" stroke-width="1"'))
    parts += [
        svg.ellipse(x - 2.6, 53, 1.1, 1.1, "#22252c"),
        svg.ellipse(x + 2.6, 53, 1.1, 1.1, "#22252c"),
        svg.polygon([(x, 55), (x + 8, 57), (x, 58)], "#e7822f"),
    ]
    parts += [svg.ellipse(rng.uniform(0, 128), rng.uniform(0, 112), 1.3, 1.3, "#ffffff") for _ in range(34)]
    return "".join(parts)


def _space(x: float, rng: np.random.Generator) -> str:
    parts = [_sky("#0c0e26", "#28245c")]
    parts += [
        svg.ellipse(
            rng.uniform(0, 128), rng.uniform(0, 110), 0.8, 0.8, "#ffffff", f'opacity="{rng.uniform(0.5, 1):.2f}"'
        )
        for _ in range(44)
    ]
    parts += [svg.ellipse(x, 28, 16, 16, "#d98f5a"), svg.ellipse(x - 4, 24, 7, 4, "#f0b885", 'opacity="0.7"')]
    parts.append(
        svg.group(
            svg.ellipse(0, 0, 27, 5, "none", 'stroke="#f0dcb2" stroke-width="2.4"'), f"translate({x},28) rotate(-16)"
        )
    )
    return (
        "".join(parts)
        + svg.path("M0,108 Q64,96 128,108 V128 H0 Z", "#9a9aa8")
        + svg.ellipse(24, 116, 9, 2.6, "#7b7b8a")
        + svg.ellipse(100, 114, 7, 2, "#7b7b8a")
    )


def _library(x: float, rng: np.random.Generator) -> str:
    parts = [svg.rect(0, 0, 128, 128, "#5b3a25")]
    shades = ["#a63d3d", "#3d5fa6", "#4a8552", "#d9a441", "#7a4f91", "#d8cdb8"]
    for shelf in range(4):
        y = 3 + shelf * 31
        parts.append(svg.rect(0, y, 128, 26, "#3a2416"))
        left = 1.0
        while left < 126:
            width, height = rng.uniform(4.5, 8), rng.uniform(18, 25)
            parts.append(svg.rect(left, y + 26 - height, width, height, shades[int(rng.integers(6))], 'rx="0.6"'))
            left += width + 0.7
    return "".join(parts)


def _kitchen(x: float, rng: np.random.Generator) -> str:
    parts = [svg.rect(0, 0, 128, 128, "#eadfc8")]
    parts += [svg.rect(column * 16, 44 + row * 16, 15, 15, "#f6f1e4") for row in range(3) for column in range(8)]
    parts += [
        svg.rect(left, 2, 30, 34, "#7fa39a", 'rx="2"') + svg.ellipse(left + 25, 30, 1.4, 1.4, "#e9e2d0")
        for left in (1, 33, 65, 97)
    ]
    parts.append(svg.rect(0, 86, 128, 6, "#8a5f3c") + svg.rect(0, 92, 128, 36, "#6b8f86"))
    parts += [
        svg.rect(x - 12, 68, 24, 18, "#c94f43", 'rx="3"')
        + svg.rect(x - 15, 66, 30, 3.4, "#8f352c", 'rx="1.6"')
        + svg.ellipse(x, 64.5, 2.4, 1.8, "#3a2a26")
    ]
    return "".join(parts)


def _stadium(x: float, rng: np.random.Generator) -> str:
    parts = [_sky("#7fb2e0", "#cfe3f0"), svg.path("M0,26 Q64,44 128,26 V86 H0 Z", "#6e7480")]
    crowd = ["#d9534f", "#f0c74b", "#5a8fd0", "#f3efe6", "#58a06a"]
    parts += [
        svg.ellipse(
            2 + 6.6 * column, 38 + 7 * row + 8 * (1 - abs(column - 9.5) / 9.5), 2, 2, crowd[int(rng.integers(5))]
        )
        for row in range(6)
        for column in range(20)
    ]
    parts += [
        svg.rect(0, 86, 128, 42, "#4f9a4a"),
        svg.rect(0, 94, 128, 8, "#5fae58"),
        svg.rect(0, 110, 128, 8, "#5fae58"),
        svg.line("M0,87 H128", "#ffffff", 1.6),
    ]
    parts += [svg.rect(sx - 1, 6, 2, 34, "#5c6068") + svg.rect(sx - 8, 2, 16, 7, "#fdf6cf") for sx in (14, 114)]
    return "".join(parts)


def _castle(x: float, rng: np.random.Generator) -> str:
    stone, edge = "#a59c92", "#857c73"
    parts = [
        _sky("#b6cfe6", "#f0ead8"),
        svg.path("M0,96 Q50,74 128,94 V128 H0 Z", "#7da365"),
        svg.rect(x - 24, 50, 48, 46, stone),
    ]
    for tx, top in ((x - 26, 32), (x + 26, 32), (x, 18)):
        parts.append(svg.rect(tx - 8, top, 16, 96 - top, edge if tx != x else stone))
        parts.append(svg.polygon([(tx - 11, top), (tx + 11, top), (tx, top - 17)], "#a8433f"))
        parts.append(svg.rect(tx - 2, top + 9, 4, 7, "#3b3430", 'rx="2"'))
    return "".join(parts) + svg.path(f"M{x - 7},96 V80 Q{x},70 {x + 7},80 V96 Z", "#4b372a")


def _underwater(x: float, rng: np.random.Generator) -> str:
    parts = [_sky("#3fb0cf", "#0d4a7a")]
    parts += [
        svg.polygon([(bx, 0), (bx + 9, 0), (bx - 16, 128), (bx - 34, 128)], "#ffffff", 'opacity="0.10"')
        for bx in (24, 62, 104)
    ]
    for fx, fy, shade in ((x, 24, "#f2a13a"), (128 - x, 44, "#e8c93f"), (x - 8, 66, "#e0617a")):
        parts.append(
            svg.ellipse(fx, fy, 8.6, 5.2, shade)
            + svg.polygon([(fx + 7, fy), (fx + 14, fy - 5), (fx + 14, fy + 5)], shade)
            + svg.ellipse(fx - 4.6, fy - 1, 1.1, 1.1, "#1b1b20")
        )
    parts += [
        svg.ellipse(rng.uniform(0, 128), rng.uniform(5, 105), 2, 2, "none", 'stroke="#e3f6fb" stroke-width="0.9"')
        for _ in range(12)
    ]
    parts += [svg.line(f"M{wx},128 q-5,-12 0,-22 q5,-11 0,-22", "#3f9a5f", 3.4) for wx in (8, 20, 110, 121)]
    return "".join(parts)


def _night_city(x: float, rng: np.random.Generator) -> str:
    parts = [_sky("#10142e", "#43345e"), svg.ellipse(x, 18, 8, 8, "#f6efcf"), svg.ellipse(x + 3.6, 16, 7, 7, "#1a1c38")]
    for place in range(6):
        left, top = place * 22 - 2, rng.uniform(30, 58)
        parts.append(svg.rect(left, top, 20, 128 - top, ["#23264a", "#1b1e3c", "#2c2a52"][place % 3]))
        parts += [
            svg.rect(left + 3 + 5.6 * wx, wy, 3, 4, "#ffd66b")
            for wx in range(3)
            for wy in np.arange(top + 5, 118, 9)
            if rng.random() < 0.62
        ]
    return "".join(parts)


def _flower_garden(x: float, rng: np.random.Generator) -> str:
    parts = [
        _sky("#a8d8ee", "#eef7e2"),
        svg.rect(0, 62, 128, 66, "#6fae5c"),
        svg.path("M0,66 Q30,50 62,62 T128,60 V80 H0 Z", "#4f9448"),
    ]
    shades = ["#e0506b", "#f4c542", "#c76bd0", "#ffffff", "#f08a3c"]
    for row in range(5):
        for column in range(9):
            fx, fy, shade = (
                column * 15 + rng.uniform(-4, 4) + 3,
                64 + 13 * row + rng.uniform(-3, 3),
                shades[int(rng.integers(5))],
            )
            parts.append(
                svg.ellipse(fx - 2.2, fy, 2.7, 2.7, shade)
                + svg.ellipse(fx + 2.2, fy, 2.7, 2.7, shade)
                + svg.ellipse(fx, fy - 2.4, 2.7, 2.7, shade)
                + svg.ellipse(fx, fy, 1.5, 1.5, "#f9e79a")
            )
    return "".join(parts)


def _pyramids(x: float, rng: np.random.Generator) -> str:
    parts = [_sky("#7fb9e0", "#f4e6c0"), svg.ellipse(128 - x, 18, 8, 8, "#fff3bd"), svg.rect(0, 92, 128, 36, "#e3be7c")]
    for px, size in ((x - 42, 26), (x + 44, 30), (x, 46)):
        parts.append(svg.polygon([(px - size, 96), (px, 96 - 1.3 * size), (px + size, 96)], "#d3a65c"))
        parts.append(svg.polygon([(px, 96 - 1.3 * size), (px + size, 96), (px + 0.25 * size, 96)], "#a87c3f"))
    return "".join(parts)


def _plain_wall(x: float, rng: np.random.Generator) -> str:
    shades = ["#cfd8dc", "#d9cfc1", "#c3d2c0", "#d6c4cc", "#bcc7d8", "#e3ddc9"]
    base = svg.parse(shades[int(rng.integers(6))])
    return _sky(svg.color(svg.light(base, 0.25)), svg.color(svg.dark(base, 0.14)))


def _living_room(x: float, rng: np.random.Generator) -> str:
    frame = (
        svg.rect(x - 15, 14, 30, 24, "#8a6a48")
        + svg.rect(x - 12, 17, 24, 18, "#bcd4dc")
        + svg.path(f"M{x - 12},35 l8,-10 l6,6 l5,-6 l5,10 Z", "#7fa37a")
    )
    sofa = svg.rect(-4, 82, 136, 30, "#7d8aa8", 'rx="6"') + svg.rect(0, 104, 128, 24, "#68748f")
    return svg.rect(0, 0, 128, 128, "#e6d9c3") + frame + sofa


def _brick_wall(x: float, rng: np.random.Generator) -> str:
    parts = [svg.rect(0, 0, 128, 128, "#c8b6a4")]
    for row in range(12):
        for column in range(-1, 6):
            shade = svg.color(svg.dark((0.72, 0.38, 0.30), float(rng.uniform(0, 0.22))))
            parts.append(svg.rect(column * 24 + (12 if row % 2 else 0), row * 11, 22.6, 9.6, shade))
    return "".join(parts)


_SCENES: dict[str, Callable[[float, np.random.Generator], str]] = {
    "eiffel tower": _eiffel_tower,
    "beach": _beach,
    "mountains": _mountains,
    "forest": _forest,
    "city street": _city_street,
    "desert": _desert,
    "snow": _snow,
    "space": _space,
    "library": _library,
    "kitchen": _kitchen,
    "stadium": _stadium,
    "castle": _castle,
    "underwater": _underwater,
    "night city": _night_city,
    "flower garden": _flower_garden,
    "pyramids": _pyramids,
    "plain wall": _plain_wall,
    "living room": _living_room,
    "brick wall": _brick_wall,
}

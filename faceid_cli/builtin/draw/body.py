"""Neck, shoulders and clothing of a figure, in head coordinates without tilt (see head.py)."""

from __future__ import annotations

from faceid_cli.builtin.draw import svg
from faceid_cli.builtin.draw.head import half_size
from faceid_cli.builtin.draw.picture import Figure
from faceid_cli.builtin.vocabulary import COLORS


def body(figure: Figure, prefix: str) -> tuple[str, str]:
    """Gradient definitions and shapes, from the neck down to below the picture's edge."""
    person = figure.person
    w, h = half_size(person)
    cloth = svg.parse(COLORS[figure.garment_color])
    definitions = svg.linear(
        f"{prefix}c", [(0, svg.color(svg.light(cloth, 0.12))), (1, svg.color(svg.dark(cloth, 0.38)))]
    )
    definitions += svg.linear(
        f"{prefix}n", [(0, svg.color(svg.dark(person.skin, 0.42))), (0.7, svg.color(svg.dark(person.skin, 0.08)))]
    )
    span = 40.0 if person.woman else 46.0
    shoulder = 1.42 * h
    neck = 0.50 * w if person.woman else 0.62 * w
    torso = (
        f"M{-span:.2f},300 L{-span:.2f},{shoulder + 16:.2f} Q{-span + 2:.2f},{shoulder + 4:.2f} {-0.55 * span:.2f},{shoulder:.2f} "
        f"Q{-neck - 2:.2f},{1.30 * h:.2f} {-neck:.2f},{1.22 * h:.2f} L{neck:.2f},{1.22 * h:.2f} Q{neck + 2:.2f},{1.30 * h:.2f} "
        f"{0.55 * span:.2f},{shoulder:.2f} Q{span - 2:.2f},{shoulder + 4:.2f} {span:.2f},{shoulder + 16:.2f} L{span:.2f},300 Z"
    )
    parts = [svg.path(torso, f"url(#{prefix}c)")]
    seam = svg.color(svg.dark(cloth, 0.45))
    if figure.garment == "striped shirt":
        stripe = svg.color(svg.mix(cloth, (1, 1, 1), 0.78) if figure.garment_color != "white" else svg.parse("#3f67b5"))
        for row in range(12):
            y = shoulder + 7 + 11 * row
            edge = span - (6 if row == 0 else 0.3)
            parts.append(svg.line(f"M{-edge:.2f},{y:.2f} Q0,{y + 3:.2f} {edge:.2f},{y:.2f}", stripe, 3.6))
    if figure.garment == "hoodie":
        parts.append(svg.ellipse(0, 1.30 * h, neck * 1.95, 0.30 * h, svg.color(svg.dark(cloth, 0.22))))
    parts.append(svg.rect(-neck, 0.55 * h, 2 * neck, 0.72 * h, f"url(#{prefix}n)"))
    parts.append(svg.ellipse(0, 1.25 * h, neck * 1.0, 0.16 * h, svg.color(svg.dark(person.skin, 0.10))))
    parts.append(_collar(figure, neck, h, shoulder, seam, cloth))
    for side in (-1, 1):
        parts.append(
            svg.line(
                f"M{side * (span - 9):.2f},{shoulder + 22:.2f} L{side * (span - 8):.2f},300",
                seam,
                1.1,
                'opacity="0.55"',
            )
        )
    return definitions, "".join(parts)


def _collar(figure: Figure, neck: float, h: float, shoulder: float, seam: str, cloth: svg.Rgb) -> str:
    garment = figure.garment
    skin = svg.color(svg.dark(figure.person.skin, 0.06))
    if garment == "suit":
        shirt, tie = "#f2f0ea", "#a02c36" if figure.garment_color != "red" else "#2c3f66"
        lapel = svg.color(svg.dark(cloth, 0.28))
        out = svg.polygon([(-neck, 1.22 * h), (neck, 1.22 * h), (0, shoulder + 44)], shirt)
        out += svg.polygon(
            [(-2.6, 1.36 * h), (2.6, 1.36 * h), (4, shoulder + 28), (0, shoulder + 36), (-4, shoulder + 28)], tie
        )
        for side in (-1, 1):
            out += svg.polygon(
                [
                    (side * neck, 1.20 * h),
                    (side * (neck + 9), shoulder + 12),
                    (side * (neck + 3), shoulder + 17),
                    (0, shoulder + 46),
                    (side * (neck - 1), shoulder + 10),
                ],
                lapel,
            )
        return out
    if garment == "dress":
        out = svg.path(f"M{-neck - 3:.2f},{1.24 * h:.2f} Q0,{shoulder + 34:.2f} {neck + 3:.2f},{1.24 * h:.2f} Z", skin)
        return out + "".join(
            svg.ellipse(x, shoulder + 7 - abs(x) * 0.22, 1.5, 1.5, "#f4efe6") for x in (-9, -4.5, 0, 4.5, 9)
        )
    if garment == "hoodie":
        out = "".join(
            svg.line(f"M{side * 5:.2f},{1.42 * h:.2f} L{side * 5.6:.2f},{shoulder + 22:.2f}", "#f2efe8", 1.4)
            for side in (-1, 1)
        )
        return out + svg.line(
            f"M{-neck - 5:.2f},{1.24 * h:.2f} Q0,{1.62 * h:.2f} {neck + 5:.2f},{1.24 * h:.2f}", seam, 3.0
        )
    if garment == "sweater":
        out = svg.line(
            f"M{-neck - 1:.2f},{1.16 * h:.2f} Q0,{1.36 * h:.2f} {neck + 1:.2f},{1.16 * h:.2f}",
            svg.color(svg.dark(cloth, 0.15)),
            5.6,
        )
        return out + "".join(
            svg.line(f"M{x},{shoulder + 10} L{x},300", seam, 1.2, 'opacity="0.35"')
            for x in (-24, -16, -8, 0, 8, 16, 24)
        )
    collar = svg.path(f"M{-neck - 2:.2f},{1.22 * h:.2f} Q0,{1.56 * h:.2f} {neck + 2:.2f},{1.22 * h:.2f} Z", skin)
    return collar + svg.line(
        f"M{-neck - 2:.2f},{1.22 * h:.2f} Q0,{1.56 * h:.2f} {neck + 2:.2f},{1.22 * h:.2f}", seam, 1.8
    )

"""Hair and headwear of a figure, in head coordinates (see head.py)."""

from __future__ import annotations

from faceid_cli.builtin.draw import svg
from faceid_cli.builtin.draw.head import hair_color, half_size
from faceid_cli.builtin.draw.picture import Figure


def hair(figure: Figure, prefix: str) -> tuple[str, str, str]:
    """Gradient definitions, the hair behind the head, and the hair in front of it."""
    tint = hair_color(figure)
    definitions = svg.linear(
        f"{prefix}h",
        [(0, svg.color(svg.light(tint, 0.26))), (0.4, svg.color(tint)), (1, svg.color(svg.dark(tint, 0.34)))],
    )
    fill = f"url(#{prefix}h)"
    strand, shine = svg.color(svg.dark(tint, 0.35)), svg.color(svg.light(tint, 0.42))
    w, h = half_size(figure.person)
    style = figure.person.hair_style
    covered = "cap" in figure.attributes
    back = _back(style, w, h, fill, svg.color(svg.dark(tint, 0.30)), strand)
    front = "" if style == "bald" else _front(style, w, h, fill, strand, shine, covered)
    return definitions, back, front


def headwear(figure: Figure) -> str:
    """Cap, crown and headphones."""
    w, h = half_size(figure.person)
    parts = []
    if "headphones" in figure.attributes:
        parts.append(
            svg.line(
                f"M{-w - 1:.2f},{-0.05 * h:.2f} C{-w - 2:.2f},{-1.45 * h:.2f} {w + 2:.2f},{-1.45 * h:.2f} {w + 1:.2f},{-0.05 * h:.2f}",
                "#2b2d34",
                3.4,
            )
        )
        for side in (-1, 1):
            parts.append(svg.rect(side * (w + 1.5) - 3.6, -0.16 * h, 7.2, 0.46 * h, "#d8433c", 'rx="3.2"'))
            parts.append(svg.rect(side * (w - 0.6) - 1.6, -0.14 * h, 3.2, 0.42 * h, "#23252b", 'rx="1.6"'))
    if "cap" in figure.attributes:
        dome = f"M{-w - 1.2:.2f},{-0.40 * h:.2f} C{-w - 1:.2f},{-1.38 * h:.2f} {w + 1:.2f},{-1.38 * h:.2f} {w + 1.2:.2f},{-0.40 * h:.2f} Q0,{-0.60 * h:.2f} {-w - 1.2:.2f},{-0.40 * h:.2f} Z"
        brim = f"M{-w + 1:.2f},{-0.44 * h:.2f} Q0,{-0.64 * h:.2f} {w - 1:.2f},{-0.44 * h:.2f} Q{w + 9:.2f},{-0.34 * h:.2f} {w + 6:.2f},{-0.28 * h:.2f} Q0,{-0.42 * h:.2f} {-w - 5:.2f},{-0.28 * h:.2f} Q{-w - 8:.2f},{-0.36 * h:.2f} {-w + 1:.2f},{-0.44 * h:.2f} Z"
        parts += [
            svg.path(dome, "#2f6db0"),
            svg.path(brim, "#1f4c80"),
            svg.ellipse(0, -0.82 * h, 4.6, 4.2, "#f3f1ea"),
            svg.ellipse(0, -1.13 * h, 1.6, 1.2, "#1f4c80"),
        ]
    if "crown" in figure.attributes:
        y, top = -0.72 * h, -1.34 * h
        points = [
            (-0.86 * w, y),
            (-w, top),
            (-0.45 * w, y - 6),
            (0, top - 3),
            (0.45 * w, y - 6),
            (w, top),
            (0.86 * w, y),
        ]
        parts.append(svg.polygon(points, "#f0c13c", 'stroke="#b98a1e" stroke-width="1"'))
        parts += [
            svg.ellipse(x * w, y - 3.4, 1.8, 1.8, shade)
            for x, shade in ((-0.5, "#cf3d44"), (0, "#3a79c9"), (0.5, "#cf3d44"))
        ]
    return "".join(parts)


def _back(style: str, w: float, h: float, fill: str, deep: str, strand: str) -> str:
    if style == "afro":
        return svg.ellipse(0, -0.42 * h, 1.52 * w, 1.02 * h, fill)
    if style == "curly":
        bumps = [
            (-1.15, -0.35),
            (-1.2, 0.05),
            (-1.1, 0.4),
            (1.15, -0.35),
            (1.2, 0.05),
            (1.1, 0.4),
            (0.75, -0.85),
            (-0.75, -0.85),
            (0, -1.05),
        ]
        return "".join(svg.ellipse(x * w, y * h, 0.42 * w, 0.34 * w, deep) for x, y in bumps)
    if style == "bob":
        return svg.path(
            f"M{-1.16 * w:.2f},{-0.2 * h:.2f} C{-1.3 * w:.2f},{0.5 * h:.2f} {-1.2 * w:.2f},{0.78 * h:.2f} {-0.8 * w:.2f},{0.80 * h:.2f} L{0.8 * w:.2f},{0.80 * h:.2f} C{1.2 * w:.2f},{0.78 * h:.2f} {1.3 * w:.2f},{0.5 * h:.2f} {1.16 * w:.2f},{-0.2 * h:.2f} Z",
            deep,
        )
    if style == "long straight":
        shape = svg.path(
            f"M{-1.12 * w:.2f},{-0.3 * h:.2f} C{-1.28 * w:.2f},{0.6 * h:.2f} {-1.22 * w:.2f},{1.3 * h:.2f} {-1.18 * w:.2f},{1.62 * h:.2f} L{1.18 * w:.2f},{1.62 * h:.2f} C{1.22 * w:.2f},{1.3 * h:.2f} {1.28 * w:.2f},{0.6 * h:.2f} {1.12 * w:.2f},{-0.3 * h:.2f} Z",
            deep,
        )
        return shape + "".join(
            svg.line(f"M{x * w:.2f},{0.2 * h:.2f} L{x * w * 1.02:.2f},{1.5 * h:.2f}", strand, 0.8, 'opacity="0.6"')
            for x in (-1.08, -0.9, 0.9, 1.08)
        )
    if style == "long wavy":
        return svg.path(
            f"M{-1.1 * w:.2f},{-0.4 * h:.2f} C{-1.6 * w:.2f},{0.1 * h:.2f} {-1.1 * w:.2f},{0.5 * h:.2f} {-1.45 * w:.2f},{0.85 * h:.2f} C{-1.65 * w:.2f},{1.2 * h:.2f} {-1.2 * w:.2f},{1.35 * h:.2f} {-1.3 * w:.2f},{1.6 * h:.2f} L{1.3 * w:.2f},{1.6 * h:.2f} C{1.2 * w:.2f},{1.35 * h:.2f} {1.65 * w:.2f},{1.2 * h:.2f} {1.45 * w:.2f},{0.85 * h:.2f} C{1.1 * w:.2f},{0.5 * h:.2f} {1.6 * w:.2f},{0.1 * h:.2f} {1.1 * w:.2f},{-0.4 * h:.2f} Z",
            deep,
        )
    if style == "bun":
        return svg.ellipse(0, -1.22 * h, 0.52 * w, 0.45 * w, fill) + svg.line(
            f"M{-0.3 * w:.2f},{-1.2 * h:.2f} Q0,{-1.36 * h:.2f} {0.3 * w:.2f},{-1.2 * h:.2f}", strand, 0.9
        )
    if style == "ponytail":
        return svg.path(
            f"M{0.5 * w:.2f},{-0.85 * h:.2f} C{1.9 * w:.2f},{-0.9 * h:.2f} {1.75 * w:.2f},{0.4 * h:.2f} {1.5 * w:.2f},{1.0 * h:.2f} C{1.3 * w:.2f},{0.5 * h:.2f} {1.2 * w:.2f},{0.0 * h:.2f} {0.8 * w:.2f},{-0.4 * h:.2f} Z",
            deep,
        )
    return ""


def _front(style: str, w: float, h: float, fill: str, strand: str, shine: str, covered: bool) -> str:
    outer = f"M{-1.05 * w:.2f},{{side}} C{-1.14 * w:.2f},{{lift}} {-0.72 * w:.2f},{{top}} 0,{{top}} C{0.72 * w:.2f},{{top}} {1.14 * w:.2f},{{lift}} {1.05 * w:.2f},{{side}} "

    def cap_of_hair(side: float, top: float, inner: str) -> str:
        edge = outer.format(side=f"{side * h:.2f}", lift=f"{-0.95 * h:.2f}", top=f"{top * h:.2f}")
        return svg.path(edge + inner + " Z", fill)

    def arc(y: float, edge: float = 0.93) -> str:
        """Hairline: a curve from the right temple back to the left one, y at its middle."""
        return f"L{edge * w:.2f},{-0.28 * h:.2f} Q{0.62 * w:.2f},{y * h:.2f} 0,{y * h:.2f} Q{-0.62 * w:.2f},{y * h:.2f} {-edge * w:.2f},{-0.28 * h:.2f}"

    gleam = (
        ""
        if covered
        else svg.line(
            f"M{-0.62 * w:.2f},{-0.84 * h:.2f} Q{-0.3 * w:.2f},{-1.0 * h:.2f} {0.12 * w:.2f},{-0.99 * h:.2f}",
            shine,
            1.7,
            'opacity="0.55"',
        )
    )
    if style == "buzz cut":
        return cap_of_hair(-0.18, -1.03, arc(-0.66)).replace("/>", ' opacity="0.80"/>')
    if style == "receding":
        inner = f"L{0.95 * w:.2f},{-0.2 * h:.2f} Q{0.9 * w:.2f},{-0.75 * h:.2f} {0.55 * w:.2f},{-0.88 * h:.2f} Q0,{-0.72 * h:.2f} {-0.55 * w:.2f},{-0.88 * h:.2f} Q{-0.9 * w:.2f},{-0.75 * h:.2f} {-0.95 * w:.2f},{-0.2 * h:.2f}"
        return cap_of_hair(0.0, -1.06, inner) + gleam
    if style == "side part":
        inner = f"L{0.93 * w:.2f},{-0.25 * h:.2f} Q{0.85 * w:.2f},{-0.52 * h:.2f} {0.2 * w:.2f},{-0.62 * h:.2f} Q{-0.3 * w:.2f},{-0.70 * h:.2f} {-0.46 * w:.2f},{-0.86 * h:.2f} Q{-0.86 * w:.2f},{-0.6 * h:.2f} {-0.93 * w:.2f},{-0.22 * h:.2f}"
        lines = "".join(
            svg.line(
                f"M{-0.46 * w:.2f},{-0.88 * h:.2f} Q{0.2 * w:.2f},{(-1.02 + d) * h:.2f} {0.9 * w:.2f},{(-0.55 + d) * h:.2f}",
                strand,
                0.8,
                'opacity="0.6"',
            )
            for d in (0.0, 0.12, 0.22)
        )
        return cap_of_hair(-0.05, -1.17, inner) + lines + gleam
    if style == "spiky":
        spikes = [
            (-1.08, -0.1),
            (-1.18, -0.75),
            (-0.85, -0.8),
            (-0.8, -1.28),
            (-0.42, -1.0),
            (-0.22, -1.42),
            (0.1, -1.04),
            (0.38, -1.4),
            (0.55, -1.0),
            (0.95, -1.22),
            (0.92, -0.78),
            (1.2, -0.7),
            (1.08, -0.1),
            (0.92, -0.3),
            (0.6, -0.62),
            (0.35, -0.52),
            (0.1, -0.66),
            (-0.2, -0.52),
            (-0.45, -0.66),
            (-0.7, -0.52),
            (-0.92, -0.3),
        ]
        return svg.polygon([(x * w, y * h) for x, y in spikes], fill, 'stroke-linejoin="round"') + gleam
    if style == "bowl cut":
        inner = f"L{1.0 * w:.2f},{-0.20 * h:.2f} Q{0.5 * w:.2f},{-0.36 * h:.2f} 0,{-0.36 * h:.2f} Q{-0.5 * w:.2f},{-0.36 * h:.2f} {-1.0 * w:.2f},{-0.20 * h:.2f}"
        lines = "".join(
            svg.line(
                f"M{x * 0.6 * w:.2f},{-1.0 * h:.2f} Q{x * w:.2f},{-0.7 * h:.2f} {x * w:.2f},{-0.42 * h:.2f}",
                strand,
                0.8,
                'opacity="0.5"',
            )
            for x in (-0.7, -0.35, 0, 0.35, 0.7)
        )
        return cap_of_hair(0.02, -1.14, inner) + lines + gleam
    if style == "afro":
        return cap_of_hair(-0.1, -1.12, arc(-0.60)) + "".join(
            svg.ellipse(x * w, y * h, 1.6, 1.2, shine, 'opacity="0.35"')
            for x, y in ((-0.8, -0.95), (-0.3, -1.15), (0.3, -1.1), (0.8, -0.9), (-1.1, -0.5), (1.1, -0.5), (0, -0.9))
        )
    if style == "curly":
        curls = [
            (-0.92, -0.42),
            (-0.8, -0.72),
            (-0.5, -0.92),
            (-0.15, -1.0),
            (0.2, -1.0),
            (0.52, -0.92),
            (0.82, -0.70),
            (0.94, -0.4),
            (-0.4, -0.66),
            (0.05, -0.72),
            (0.45, -0.66),
        ]
        return "".join(svg.ellipse(x * w, y * h, 0.30 * w, 0.27 * w, fill) for x, y in curls) + "".join(
            svg.line(
                f"M{(x - 0.13) * w:.2f},{y * h:.2f} q{0.13 * w:.2f},{-0.2 * w:.2f} {0.26 * w:.2f},0",
                shine if not covered else strand,
                0.8,
                'opacity="0.6"',
            )
            for x, y in curls[:8]
        )
    if style in ("bob", "long straight"):
        depth = 0.62 if style == "bob" else 0.95
        inner = f"L{1.1 * w:.2f},{depth * h:.2f} Q{0.84 * w:.2f},{0.3 * h:.2f} {0.86 * w:.2f},{-0.16 * h:.2f} "
        inner += (
            f"Q{0.5 * w:.2f},{-0.44 * h:.2f} 0,{-0.44 * h:.2f} Q{-0.5 * w:.2f},{-0.44 * h:.2f} {-0.86 * w:.2f},{-0.16 * h:.2f} "
            if style == "bob"
            else f"Q{0.6 * w:.2f},{-0.62 * h:.2f} 0,{-0.88 * h:.2f} Q{-0.6 * w:.2f},{-0.62 * h:.2f} {-0.86 * w:.2f},{-0.16 * h:.2f} "
        )
        inner += f"Q{-0.84 * w:.2f},{0.3 * h:.2f} {-1.1 * w:.2f},{depth * h:.2f}"
        part = svg.line(f"M0,{-1.08 * h:.2f} L0,{-0.9 * h:.2f}", strand, 0.9, 'opacity="0.7"') if style != "bob" else ""
        lines = "".join(
            svg.line(
                f"M{x * 0.5 * w:.2f},{-1.02 * h:.2f} Q{x * w:.2f},{-0.7 * h:.2f} {x * 1.04 * w:.2f},{0.2 * h:.2f}",
                strand,
                0.8,
                'opacity="0.5"',
            )
            for x in (-0.97, 0.97)
        )
        return cap_of_hair(0.1, -1.13, inner) + lines + part + gleam
    if style == "long wavy":
        inner = f"C{1.25 * w:.2f},{0.3 * h:.2f} {0.98 * w:.2f},{0.5 * h:.2f} {1.12 * w:.2f},{0.8 * h:.2f} Q{0.74 * w:.2f},{0.3 * h:.2f} {0.88 * w:.2f},{-0.18 * h:.2f} Q{0.3 * w:.2f},{-0.5 * h:.2f} {-0.3 * w:.2f},{-0.88 * h:.2f} Q{-0.8 * w:.2f},{-0.6 * h:.2f} {-0.88 * w:.2f},{-0.18 * h:.2f} Q{-0.74 * w:.2f},{0.3 * h:.2f} {-1.12 * w:.2f},{0.8 * h:.2f} C{-0.98 * w:.2f},{0.5 * h:.2f} {-1.25 * w:.2f},{0.3 * h:.2f} {-1.05 * w:.2f},{0.1 * h:.2f}"
        return (
            cap_of_hair(0.1, -1.18, inner)
            + svg.line(
                f"M{-0.28 * w:.2f},{-0.9 * h:.2f} Q{0.5 * w:.2f},{-0.8 * h:.2f} {0.98 * w:.2f},{-0.1 * h:.2f}",
                strand,
                0.9,
                'opacity="0.6"',
            )
            + gleam
        )
    lines = "".join(
        svg.line(
            f"M{x * w:.2f},{-1.0 * h:.2f} Q{x * 1.2 * w:.2f},{-0.85 * h:.2f} {x * 1.3 * w:.2f},{-0.68 * h:.2f}",
            strand,
            0.8,
            'opacity="0.5"',
        )
        for x in (-0.5, -0.2, 0.2, 0.5)
    )
    hairline = -0.60 if style == "short" else -0.74
    return cap_of_hair(-0.08, -1.10, arc(hairline)) + lines + gleam

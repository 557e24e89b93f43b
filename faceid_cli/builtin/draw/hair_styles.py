"""How each style of hair falls: one function for what is behind the head, one for what is in front of it.

Places are shares of the head's half width and half height, from its centre: 0,-1 is the top, 1,0 the right side of the
picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faceid_cli.builtin.draw import svg

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Brush:
    """What hair is drawn with.

    Attributes:
        w, h: Half width and half height of the head, in units.
        fill: Of most hair, a gradient.
        deep: Of hair in the shadow of the head.
        strand: Of dark lines.
        shine: Of light ones.
        covered: Whether a cap is on it.
    """

    w: float
    h: float
    fill: str
    deep: str
    strand: str
    shine: str
    covered: bool

    def shape(self, data: str, fill: str) -> str:
        """A filled path."""
        return svg.path(svg.scaled(data, self.w, self.h), fill)

    def line(self, data: str, width: float, opacity: float | None = None, tint: str = "") -> str:
        """A line of a strand's colour, if no other is given."""
        extra = "" if opacity is None else f'opacity="{opacity:g}"'
        return svg.line(svg.scaled(data, self.w, self.h), tint or self.strand, width, extra)

    def over_the_head(self, side: float, top: float, hairline: str) -> str:
        """Hair from ear to ear over the head, down to a hairline; `side` is its height at the ears."""
        edge = f"M-1.05,{side} C-1.14,-0.95 -0.72,{top} 0,{top} C0.72,{top} 1.14,-0.95 1.05,{side} "
        return self.shape(f"{edge}{hairline} Z", self.fill)

    def gleam(self) -> str:
        """Light on the crown of the head; none under a cap."""
        return "" if self.covered else self.line("M-0.62,-0.84 Q-0.3,-1.0 0.12,-0.99", 1.7, 0.55, self.shine)


def _round_hairline(y: float) -> str:
    """From the right temple back to the left one, y at its middle."""
    return f"L0.93,-0.28 Q0.62,{y} 0,{y} Q-0.62,{y} -0.93,-0.28"


def _afro_behind(brush: Brush) -> str:
    return svg.ellipse(0, -0.42 * brush.h, 1.52 * brush.w, 1.02 * brush.h, brush.fill)


_CURLS_BEHIND: Points = (
    *((-1.15, -0.35), (-1.2, 0.05), (-1.1, 0.4), (1.15, -0.35), (1.2, 0.05)),
    *((1.1, 0.4), (0.75, -0.85), (-0.75, -0.85), (0, -1.05)),
)


def _curly_behind(brush: Brush) -> str:
    w, h = brush.w, brush.h
    return "".join(svg.ellipse(x * w, y * h, 0.42 * w, 0.34 * w, brush.deep) for x, y in _CURLS_BEHIND)


def _bob_behind(brush: Brush) -> str:
    shape = "M-1.16,-0.2 C-1.3,0.5 -1.2,0.78 -0.8,0.80 L0.8,0.80 C1.2,0.78 1.3,0.5 1.16,-0.2 Z"
    return brush.shape(shape, brush.deep)


def _long_straight_behind(brush: Brush) -> str:
    shape = "M-1.12,-0.3 C-1.28,0.6 -1.22,1.3 -1.18,1.62 L1.18,1.62 C1.22,1.3 1.28,0.6 1.12,-0.3 Z"
    strands = (brush.line(f"M{x},0.2 L{x * 1.02},1.5", 0.8, 0.6) for x in (-1.08, -0.9, 0.9, 1.08))
    return brush.shape(shape, brush.deep) + "".join(strands)


def _long_wavy_behind(brush: Brush) -> str:
    left = "M-1.1,-0.4 C-1.6,0.1 -1.1,0.5 -1.45,0.85 C-1.65,1.2 -1.2,1.35 -1.3,1.6"
    right = "L1.3,1.6 C1.2,1.35 1.65,1.2 1.45,0.85 C1.1,0.5 1.6,0.1 1.1,-0.4 Z"
    return brush.shape(f"{left} {right}", brush.deep)


def _bun_behind(brush: Brush) -> str:
    knot = svg.ellipse(0, -1.22 * brush.h, 0.52 * brush.w, 0.45 * brush.w, brush.fill)
    return knot + brush.line("M-0.3,-1.2 Q0,-1.36 0.3,-1.2", 0.9)


def _ponytail_behind(brush: Brush) -> str:
    return brush.shape("M0.5,-0.85 C1.9,-0.9 1.75,0.4 1.5,1.0 C1.3,0.5 1.2,0.0 0.8,-0.4 Z", brush.deep)


def _buzz_cut(brush: Brush) -> str:
    return brush.over_the_head(-0.18, -1.03, _round_hairline(-0.66)).replace("/>", ' opacity="0.80"/>')


def _receding(brush: Brush) -> str:
    hairline = "L0.95,-0.2 Q0.9,-0.75 0.55,-0.88 Q0,-0.72 -0.55,-0.88 Q-0.9,-0.75 -0.95,-0.2"
    return brush.over_the_head(0.0, -1.06, hairline) + brush.gleam()


def _side_part(brush: Brush) -> str:
    hairline = "L0.93,-0.25 Q0.85,-0.52 0.2,-0.62 Q-0.3,-0.70 -0.46,-0.86 Q-0.86,-0.6 -0.93,-0.22"
    strands = (
        brush.line(f"M-0.46,-0.88 Q0.2,{-1.02 + lower} 0.9,{-0.55 + lower}", 0.8, 0.6) for lower in (0.0, 0.12, 0.22)
    )
    return brush.over_the_head(-0.05, -1.17, hairline) + "".join(strands) + brush.gleam()


_SPIKES: Points = (
    *((-1.08, -0.1), (-1.18, -0.75), (-0.85, -0.8), (-0.8, -1.28), (-0.42, -1.0), (-0.22, -1.42), (0.1, -1.04)),
    *((0.38, -1.4), (0.55, -1.0), (0.95, -1.22), (0.92, -0.78), (1.2, -0.7), (1.08, -0.1), (0.92, -0.3)),
    *((0.6, -0.62), (0.35, -0.52), (0.1, -0.66), (-0.2, -0.52), (-0.45, -0.66), (-0.7, -0.52), (-0.92, -0.3)),
)


def _spiky(brush: Brush) -> str:
    outline = [(x * brush.w, y * brush.h) for x, y in _SPIKES]
    return svg.polygon(outline, brush.fill, 'stroke-linejoin="round"') + brush.gleam()


def _bowl_cut(brush: Brush) -> str:
    hairline = "L1.0,-0.20 Q0.5,-0.36 0,-0.36 Q-0.5,-0.36 -1.0,-0.20"
    strands = (brush.line(f"M{x * 0.6},-1.0 Q{x},-0.7 {x},-0.42", 0.8, 0.5) for x in (-0.7, -0.35, 0, 0.35, 0.7))
    return brush.over_the_head(0.02, -1.14, hairline) + "".join(strands) + brush.gleam()


_GLINTS: Points = ((-0.8, -0.95), (-0.3, -1.15), (0.3, -1.1), (0.8, -0.9), (-1.1, -0.5), (1.1, -0.5), (0, -0.9))


def _afro(brush: Brush) -> str:
    w, h = brush.w, brush.h
    glints = (svg.ellipse(x * w, y * h, 1.6, 1.2, brush.shine, 'opacity="0.35"') for x, y in _GLINTS)
    return brush.over_the_head(-0.1, -1.12, _round_hairline(-0.60)) + "".join(glints)


_CURLS: Points = (
    *((-0.92, -0.42), (-0.8, -0.72), (-0.5, -0.92), (-0.15, -1.0), (0.2, -1.0), (0.52, -0.92)),
    *((0.82, -0.70), (0.94, -0.4), (-0.4, -0.66), (0.05, -0.72), (0.45, -0.66)),
)


def _curly(brush: Brush) -> str:
    w, h = brush.w, brush.h
    curls = (svg.ellipse(x * w, y * h, 0.30 * w, 0.27 * w, brush.fill) for x, y in _CURLS)
    tint = brush.strand if brush.covered else brush.shine
    bend = f"q{0.13 * w:.2f},{-0.2 * w:.2f} {0.26 * w:.2f},0"
    edges = (svg.line(f"M{(x - 0.13) * w:.2f},{y * h:.2f} {bend}", tint, 0.8, 'opacity="0.6"') for x, y in _CURLS[:8])
    return "".join(curls) + "".join(edges)


def _falling(brush: Brush, depth: float, hairline: str) -> str:
    """Straight hair on both sides of the face, down to a depth; with lines along it."""
    right = f"L1.1,{depth} Q0.84,0.3 0.86,-0.16"
    left = f"Q-0.84,0.3 -1.1,{depth}"
    strands = (brush.line(f"M{x * 0.5},-1.02 Q{x},-0.7 {x * 1.04},0.2", 0.8, 0.5) for x in (-0.97, 0.97))
    return brush.over_the_head(0.1, -1.13, f"{right} {hairline} {left}") + "".join(strands)


def _bob(brush: Brush) -> str:
    fringe = "Q0.5,-0.44 0,-0.44 Q-0.5,-0.44 -0.86,-0.16"
    return _falling(brush, 0.62, fringe) + brush.gleam()


def _long_straight(brush: Brush) -> str:
    parted = "Q0.6,-0.62 0,-0.88 Q-0.6,-0.62 -0.86,-0.16"
    return _falling(brush, 0.95, parted) + brush.line("M0,-1.08 L0,-0.9", 0.9, 0.7) + brush.gleam()


def _long_wavy(brush: Brush) -> str:
    right = "C1.25,0.3 0.98,0.5 1.12,0.8 Q0.74,0.3 0.88,-0.18"
    parted = "Q0.3,-0.5 -0.3,-0.88 Q-0.8,-0.6 -0.88,-0.18"
    left = "Q-0.74,0.3 -1.12,0.8 C-0.98,0.5 -1.25,0.3 -1.05,0.1"
    strand = brush.line("M-0.28,-0.9 Q0.5,-0.8 0.98,-0.1", 0.9, 0.6)
    return brush.over_the_head(0.1, -1.18, f"{right} {parted} {left}") + strand + brush.gleam()


def _combed(brush: Brush, hairline: float) -> str:
    """Close to the head, with lines towards a round hairline."""
    strands = (brush.line(f"M{x},-1.0 Q{x * 1.2},-0.85 {x * 1.3},-0.68", 0.8, 0.5) for x in (-0.5, -0.2, 0.2, 0.5))
    return brush.over_the_head(-0.08, -1.10, _round_hairline(hairline)) + "".join(strands) + brush.gleam()


def _short(brush: Brush) -> str:
    return _combed(brush, -0.60)


def _tied_back(brush: Brush) -> str:
    return _combed(brush, -0.74)


BEHIND: dict[str, Callable[[Brush], str]] = {
    "afro": _afro_behind,
    "curly": _curly_behind,
    "bob": _bob_behind,
    "long straight": _long_straight_behind,
    "long wavy": _long_wavy_behind,
    "bun": _bun_behind,
    "ponytail": _ponytail_behind,
}
"""By style; nothing is behind the head in the others."""

IN_FRONT: dict[str, Callable[[Brush], str]] = {
    "buzz cut": _buzz_cut,
    "receding": _receding,
    "side part": _side_part,
    "spiky": _spiky,
    "bowl cut": _bowl_cut,
    "afro": _afro,
    "curly": _curly,
    "bob": _bob,
    "long straight": _long_straight,
    "long wavy": _long_wavy,
    "short": _short,
    "bun": _tied_back,
    "ponytail": _tied_back,
}
"""By style; a bald head has none."""

"""Small helpers for SVG text and colours. Coordinates are in units of a 128 x 128 picture."""

from __future__ import annotations

import re

Rgb = tuple[float, float, float]

_PAIR = re.compile(r"(-?[\d.]+),(-?[\d.]+)")


def color(rgb: Rgb) -> str:
    """RGB in 0..1 (clipped) as "#rrggbb"."""
    return "#" + "".join(f"{round(255 * min(max(channel, 0.0), 1.0)):02x}" for channel in rgb)


def parse(text: str) -> Rgb:
    """ "#rrggbb" as RGB in 0..1."""
    red, green, blue = (int(text[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """`first` moved by `share` (0..1) towards `second`."""
    red, green, blue = (a * (1 - share) + b * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def dark(rgb: Rgb, share: float = 0.3) -> Rgb:
    """Darker and a little cooler."""
    return mix(rgb, (0.08, 0.05, 0.10), share)


def light(rgb: Rgb, share: float = 0.3) -> Rgb:
    """Lighter and a little warmer."""
    return mix(rgb, (1.0, 0.98, 0.92), share)


def path(data: str, fill: str, extra: str = "") -> str:
    """A filled path."""
    return f'<path d="{data}" fill="{fill}" {extra}/>'


def scaled(data: str, width: float, height: float) -> str:
    """Path data whose pairs "x,y" are shares of a width and a height, in units."""
    return _PAIR.sub(lambda pair: f"{float(pair[1]) * width:.2f},{float(pair[2]) * height:.2f}", data)


def line(data: str, stroke: str, width: float, extra: str = "") -> str:
    """A stroked path with round ends."""
    return (
        f'<path d="{data}" fill="none" stroke="{stroke}" stroke-width="{width:.2f}" stroke-linecap="round" '
        f'stroke-linejoin="round" {extra}/>'
    )


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, extra: str = "") -> str:
    """A filled ellipse."""
    return f'<ellipse cx="{x:.2f}" cy="{y:.2f}" rx="{rx:.2f}" ry="{ry:.2f}" fill="{fill}" {extra}/>'


def rect(x: float, y: float, width: float, height: float, fill: str, extra: str = "") -> str:
    """A filled rectangle."""
    return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{fill}" {extra}/>'


def polygon(points: list[tuple[float, float]], fill: str, extra: str = "") -> str:
    """A filled polygon."""
    text = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polygon points="{text}" fill="{fill}" {extra}/>'


def linear(name: str, stops: list[tuple[float, str]]) -> str:
    """Definition of a gradient from the top of the shape's box down; use as fill="url(#name)"."""
    return f'<linearGradient id="{name}" x1="0" y1="0" x2="0" y2="1">{_stops(stops)}</linearGradient>'


def radial(name: str, stops: list[tuple[float, str]]) -> str:
    """Definition of a radial gradient over the shape's box, its centre up and left of the box's."""
    return f'<radialGradient id="{name}" cx="0.42" cy="0.35" r="0.75">{_stops(stops)}</radialGradient>'


def group(content: str, transform: str) -> str:
    """Content under an SVG transform."""
    return f'<g transform="{transform}">{content}</g>'


def _stops(stops: list[tuple[float, str]]) -> str:
    return "".join(f'<stop offset="{place}" stop-color="{shade}"/>' for place, shade in stops)

"""Head and face of a figure, in head coordinates: origin at the middle of the head, y down, 1 unit = 1 px at scale 1."""

from __future__ import annotations

import numpy as np

from faceid_cli.builtin.draw import svg
from faceid_cli.builtin.draw.picture import Figure
from faceid_cli.builtin.people import Person


def half_size(person: Person) -> tuple[float, float]:
    """Half width and half height of the head, in units."""
    return 20.5 * (1 + 0.13 * person.head_width), 27.5 * (1 + 0.09 * person.head_height)


def outline(person: Person) -> str:
    """SVG path of the head."""
    w, h = half_size(person)
    jaw = min(max(0.5 + 0.5 * person.jaw, 0), 1)
    jaw_x, chin_x = w * (0.70 + 0.30 * jaw), w * (0.20 + 0.34 * jaw)
    return (
        f"M{-w:.2f},{-0.12 * h:.2f} C{-w:.2f},{-0.82 * h:.2f} {-0.6 * w:.2f},{-h:.2f} 0,{-h:.2f} "
        f"C{0.6 * w:.2f},{-h:.2f} {w:.2f},{-0.82 * h:.2f} {w:.2f},{-0.12 * h:.2f} "
        f"C{w:.2f},{0.38 * h:.2f} {jaw_x:.2f},{0.72 * h:.2f} {chin_x:.2f},{0.92 * h:.2f} "
        f"C{0.6 * chin_x:.2f},{1.02 * h:.2f} {-0.6 * chin_x:.2f},{1.02 * h:.2f} {-chin_x:.2f},{0.92 * h:.2f} "
        f"C{-jaw_x:.2f},{0.72 * h:.2f} {-w:.2f},{0.38 * h:.2f} {-w:.2f},{-0.12 * h:.2f} Z"
    )


def landmarks(person: Person) -> tuple[tuple[float, float], ...]:
    """Left eye, right eye, nose tip, mouth corners, in head coordinates."""
    _, h = half_size(person)
    eye = _eye_x(person)
    mouth = _mouth_half_width(person)
    return (-eye, 0.02 * h), (eye, 0.02 * h), (0.0, _nose_tip(person)), (-mouth, 0.6 * h), (mouth, 0.6 * h)


def face_box(person: Person) -> tuple[float, float, float, float]:
    """The face from brow line to chin and cheek to cheek: left, top, right, bottom, in head coordinates."""
    w, h = half_size(person)
    return -w, -0.62 * h, w, h


def face(figure: Figure, prefix: str) -> tuple[str, str]:
    """The face without hair: (gradient definitions, shapes)."""
    person = figure.person
    skin = person.skin
    shade = svg.dark(skin, 0.24)
    definitions = svg.radial(
        f"{prefix}s", [(0, svg.color(svg.light(skin, 0.22))), (0.55, svg.color(skin)), (1, svg.color(shade))]
    )
    parts = [_ears(person), svg.path(outline(person), f"url(#{prefix}s)")]
    parts.append(_cheeks(person))
    if figure.bearded or person.beard != "none":
        parts.append(_beard(figure))
    if "old" in figure.attributes:
        parts.append(_wrinkles(person))
    parts += [_nose(person), _mouth(figure), _freckles(person), _eyes(figure), _brows(figure)]
    if "sunglasses" in figure.attributes:
        parts.append(_sunglasses(person))
    elif person.glasses != "none":
        parts.append(_glasses(person))
    return definitions, "".join(parts)


def hair_color(figure: Figure) -> svg.Rgb:
    """The colour of the figure's hair, as the caption changes it."""
    if "purple hair" in figure.attributes:
        return 0.55, 0.25, 0.70
    if "white hair" in figure.attributes:
        return 0.93, 0.93, 0.93
    if "old" in figure.attributes:
        return svg.mix(figure.person.hair, (0.74, 0.74, 0.75), 0.72)
    return figure.person.hair


def _eye_x(person: Person) -> float:
    w, _ = half_size(person)
    return w * (0.43 + 0.05 * person.eye_spacing)


def _nose_tip(person: Person) -> float:
    _, h = half_size(person)
    return h * (0.34 + 0.07 * person.nose_length)


def _mouth_half_width(person: Person) -> float:
    w, _ = half_size(person)
    return w * (0.36 + 0.07 * person.mouth_width)


def _ears(person: Person) -> str:
    w, h = half_size(person)
    size = 4.6 * (1 + 0.3 * person.ear_size)
    outer, inner = svg.color(svg.dark(person.skin, 0.10)), svg.color(svg.dark(person.skin, 0.30))
    parts = []
    for side in (-1, 1):
        parts.append(svg.ellipse(side * (w + 0.6), 0.10 * h, size * 0.75, size * 1.25, outer))
        parts.append(svg.ellipse(side * (w + 0.9), 0.12 * h, size * 0.35, size * 0.7, inner))
        if person.earrings:
            parts.append(svg.ellipse(side * (w + 1.2), 0.10 * h + size * 1.6, 1.7, 1.7, "#f2c94c"))
    return "".join(parts)


def _cheeks(person: Person) -> str:
    w, h = half_size(person)
    tint = svg.color(svg.mix(person.skin, (0.92, 0.35, 0.32), 0.55))
    opacity = 0.10 + 0.42 * person.blush
    return "".join(
        svg.ellipse(side * 0.55 * w, 0.38 * h, 0.24 * w, 0.14 * h, tint, f'opacity="{opacity:.2f}"') for side in (-1, 1)
    )


def _freckles(person: Person) -> str:
    w, h = half_size(person)
    parts = []
    tint = svg.color(svg.mix(person.skin, (0.50, 0.25, 0.12), 0.62))
    if person.freckles:
        for x, y in ((0.30, 0.24), (0.45, 0.30), (0.60, 0.24), (0.38, 0.38), (0.55, 0.40)):
            for side in (-1, 1):
                parts.append(svg.ellipse(side * x * w, y * h, 0.95, 0.95, tint, f'opacity="{person.freckles:.2f}"'))
    if person.mole:
        side = 1 if person.mole_place > 0 else -1
        parts.append(svg.ellipse(side * 0.52 * w, h * (0.45 + 0.12 * abs(person.mole_place)), 1.25, 1.25, "#3a2018"))
    return "".join(parts)


def _nose(person: Person) -> str:
    _, h = half_size(person)
    tip = _nose_tip(person)
    half = 3.5 * (1 + 0.38 * person.nose_width)
    shade = svg.color(svg.dark(person.skin, 0.34))
    glow = svg.color(svg.light(person.skin, 0.35))
    return (
        svg.line(
            f"M{0.5 * half:.2f},{0.06 * h:.2f} Q{0.75 * half:.2f},{0.6 * tip:.2f} {half:.2f},{tip - 0.8:.2f}",
            shade,
            0.9,
        )
        + svg.line(
            f"M{-half:.2f},{tip:.2f} Q{-0.5 * half:.2f},{tip + 2.3:.2f} 0,{tip + 1.7:.2f} "
            f"Q{0.5 * half:.2f},{tip + 2.3:.2f} {half:.2f},{tip:.2f}",
            shade,
            1.5,
        )
        + svg.ellipse(-0.2 * half, tip - 2.4, 0.32 * half, 2.2, glow, 'opacity="0.55"')
    )


def _mouth(figure: Figure) -> str:
    person = figure.person
    _, h = half_size(person)
    x, y = _mouth_half_width(person), 0.6 * h
    full = 2.3 * (1 + 0.5 * person.lip_fullness)
    redness = 0.30 + 0.22 * person.lip_redness
    lip = svg.color(svg.mix(svg.dark(person.skin, 0.18), (0.80, 0.16, 0.22), min(max(redness, 0.05), 0.75)))
    seam = svg.color(svg.dark(person.skin, 0.66))
    if "mouth open" in figure.attributes:
        return (
            svg.ellipse(0, y + 2.2, x * 0.72, 6.4, lip)
            + svg.ellipse(0, y + 2.2, x * 0.58, 4.9, "#4a1519")
            + svg.ellipse(0, y + 5.0, x * 0.36, 2.0, "#c85a5f")
            + svg.rect(-x * 0.42, y - 2.4, x * 0.84, 1.7, "#f8f5ef", 'rx="0.8"')
        )
    if "smiling" in figure.attributes:
        wide = x * 1.18
        smile = f"M{-wide:.2f},{y - 1.8:.2f} Q0,{y + 0.8:.2f} {wide:.2f},{y - 1.8:.2f} Q0,{y + 11.2:.2f} {-wide:.2f},{y - 1.8:.2f} Z"
        return svg.path(
            smile, "#f8f5ef", f'stroke="{lip}" stroke-width="{1.0 + 0.35 * full:.2f}" stroke-linejoin="round"'
        )
    upper = (
        f"M{-x:.2f},{y:.2f} Q{-0.5 * x:.2f},{y - full:.2f} {-0.15 * x:.2f},{y - full:.2f} Q0,{y - 0.6 * full:.2f} "
        f"{0.15 * x:.2f},{y - full:.2f} Q{0.5 * x:.2f},{y - full:.2f} {x:.2f},{y:.2f} Q0,{y + 0.5:.2f} {-x:.2f},{y:.2f} Z"
    )
    lower = f"M{-x * 0.9:.2f},{y:.2f} Q0,{y + 2.4 * full:.2f} {x * 0.9:.2f},{y:.2f} Z"
    return (
        svg.path(lower, lip)
        + svg.path(upper, lip)
        + svg.line(f"M{-x:.2f},{y:.2f} Q0,{y + 0.8:.2f} {x:.2f},{y:.2f}", seam, 0.9)
    )


def _eyes(figure: Figure) -> str:
    person = figure.person
    _, h = half_size(person)
    rx, ry = 4.5 * (1 + 0.2 * person.eye_size), 3.0 * (1 + 0.25 * person.eye_size)
    lid = svg.color(svg.dark(person.skin, 0.72))
    parts = []
    for side in (-1, 1):
        if "eyes closed" in figure.attributes:
            crease = svg.color(svg.dark(person.skin, 0.12))
            shape = svg.ellipse(0, 0, rx, ry * 0.9, crease)
            shape += svg.line(f"M{-rx:.2f},0.2 Q0,{1.9 * ry:.2f} {rx:.2f},0.2", lid, 1.6)
            for x in (-0.6, 0.0, 0.6):
                shape += svg.line(f"M{x * rx:.2f},{ry * 0.85:.2f} L{x * rx * 1.25:.2f},{ry * 1.55:.2f}", lid, 0.8)
        else:
            look = 1.3 * figure.gaze
            shape = svg.ellipse(0, 0, rx, ry, "#fbf9f5")
            shape += svg.ellipse(look, 0.1, ry * 0.88, ry * 0.93, svg.color(person.eyes))
            shape += svg.ellipse(look, 0.1, ry * 0.42, ry * 0.45, "#15100e")
            shape += svg.ellipse(look - 0.8, -0.9, 0.75, 0.75, "#ffffff")
            weight = 1.7 if person.woman else 1.1
            shape += svg.line(f"M{-rx:.2f},0 Q0,{-2.05 * ry:.2f} {rx:.2f},0", lid, weight)
            if person.woman:
                shape += svg.line(f"M{side * rx:.2f},-0.2 L{side * (rx + 1.9):.2f},-1.9", lid, 1.0)
        tilt = -side * 7 * person.eye_tilt
        parts.append(svg.group(shape, f"translate({side * _eye_x(person):.2f},{0.02 * h:.2f}) rotate({tilt:.1f})"))
    return "".join(parts)


def _brows(figure: Figure) -> str:
    person = figure.person
    _, h = half_size(person)
    hair = hair_color(figure)
    bald = "white hair" in figure.attributes or "purple hair" in figure.attributes
    tint = svg.color(hair if bald else svg.dark(hair, 0.25))
    y = -h * (0.22 + 0.045 * person.brow_height)
    width = 2.0 * (1 + 0.55 * person.brow_thickness)
    parts = []
    for side in (-1, 1):
        x = side * _eye_x(person)
        rise = 1.6 * person.brow_tilt
        parts.append(
            svg.line(
                f"M{x - side * 5:.2f},{y + rise:.2f} Q{x:.2f},{y - 2.3:.2f} {x + side * 5.8:.2f},{y + 0.6 - rise:.2f}",
                tint,
                width,
            )
        )
    return "".join(parts)


def _beard(figure: Figure) -> str:
    person = figure.person
    w, h = half_size(person)
    tint = svg.color(svg.dark(hair_color(figure), 0.06))
    jaw = min(max(0.5 + 0.5 * person.jaw, 0), 1)
    jaw_x, chin_x = w * (0.74 + 0.29 * jaw), w * (0.30 + 0.34 * jaw)
    drop = 1.20 if figure.bearded else 1.03
    full = (
        f"M{-w:.2f},{0.10 * h:.2f} C{-w:.2f},{0.45 * h:.2f} {-jaw_x:.2f},{0.80 * h:.2f} {-chin_x:.2f},{0.98 * h:.2f} "
        f"Q0,{drop * h + 3:.2f} {chin_x:.2f},{0.98 * h:.2f} C{jaw_x:.2f},{0.80 * h:.2f} {w:.2f},{0.45 * h:.2f} {w:.2f},{0.10 * h:.2f} "
        f"C{0.86 * w:.2f},{0.42 * h:.2f} {0.62 * w:.2f},{0.50 * h:.2f} {0.42 * w:.2f},{0.47 * h:.2f} "
        f"Q0,{0.36 * h:.2f} {-0.42 * w:.2f},{0.47 * h:.2f} C{-0.62 * w:.2f},{0.50 * h:.2f} {-0.86 * w:.2f},{0.42 * h:.2f} {-w:.2f},{0.10 * h:.2f} Z"
    )
    moustache = (
        f"M{-0.46 * w:.2f},{0.56 * h:.2f} Q{-0.3 * w:.2f},{0.42 * h:.2f} 0,{0.46 * h:.2f} Q{0.3 * w:.2f},{0.42 * h:.2f} "
        f"{0.46 * w:.2f},{0.56 * h:.2f} Q0,{0.52 * h:.2f} {-0.46 * w:.2f},{0.56 * h:.2f} Z"
    )
    goatee = f"M{-0.3 * w:.2f},{0.74 * h:.2f} Q0,{0.66 * h:.2f} {0.3 * w:.2f},{0.74 * h:.2f} Q{0.3 * w:.2f},{1.12 * h:.2f} 0,{1.16 * h:.2f} Q{-0.3 * w:.2f},{1.12 * h:.2f} {-0.3 * w:.2f},{0.74 * h:.2f} Z"
    if figure.bearded:
        return svg.path(full, tint)
    if person.beard == "stubble":
        return svg.path(full, tint, 'opacity="0.33"')
    if person.beard == "moustache":
        return svg.path(moustache, tint)
    return svg.path(goatee, tint) + svg.path(moustache, tint)


def _wrinkles(person: Person) -> str:
    w, h = half_size(person)
    tint = svg.color(svg.dark(person.skin, 0.36))
    parts = []
    for y in (-0.44, -0.56):
        parts.append(
            svg.line(f"M{-0.42 * w:.2f},{y * h:.2f} Q0,{(y - 0.05) * h:.2f} {0.42 * w:.2f},{y * h:.2f}", tint, 0.9)
        )
    for side in (-1, 1):
        eye = side * _eye_x(person)
        parts.append(
            svg.line(
                f"M{eye - side * 4:.2f},{0.20 * h:.2f} Q{eye:.2f},{0.27 * h:.2f} {eye + side * 4.5:.2f},{0.19 * h:.2f}",
                tint,
                1.0,
            )
        )
        parts.append(
            svg.line(
                f"M{side * 5.4:.2f},{0.40 * h:.2f} Q{side * 9.5:.2f},{0.48 * h:.2f} {side * 10.5:.2f},{0.66 * h:.2f}",
                tint,
                1.1,
            )
        )
    return "".join(parts)


def _glasses(person: Person) -> str:
    w, h = half_size(person)
    tint = svg.color(person.frame)
    x, y = _eye_x(person), 0.03 * h
    style = f'fill="#dfeefa" fill-opacity="0.22" stroke="{tint}" stroke-width="1.7"'
    parts = []
    for side in (-1, 1):
        if person.glasses == "round":
            parts.append(f'<circle cx="{side * x:.2f}" cy="{y:.2f}" r="7.2" {style}/>')
        elif person.glasses == "square":
            parts.append(
                f'<rect x="{side * x - 7.4:.2f}" y="{y - 5.2:.2f}" width="14.8" height="10.4" rx="1.6" {style}/>'
            )
        else:
            data = (
                f"M{side * (x - 6.8):.2f},{y - 2.2:.2f} Q{side * (x + 1):.2f},{y - 6.4:.2f} {side * (x + 9.4):.2f},{y - 7.4:.2f} "
                f"Q{side * (x + 7.6):.2f},{y + 6.2:.2f} {side * x:.2f},{y + 5.8:.2f} Q{side * (x - 7):.2f},{y + 5.2:.2f} {side * (x - 6.8):.2f},{y - 2.2:.2f} Z"
            )
            parts.append(f'<path d="{data}" {style}/>')
        parts.append(svg.line(f"M{side * (x + 7):.2f},{y - 1:.2f} L{side * w:.2f},{y - 2:.2f}", tint, 1.2))
    parts.append(svg.line(f"M{-x + 6.6:.2f},{y - 1:.2f} Q0,{y - 3:.2f} {x - 6.6:.2f},{y - 1:.2f}", tint, 1.4))
    return "".join(parts)


def _sunglasses(person: Person) -> str:
    w, h = half_size(person)
    x, y = _eye_x(person), 0.03 * h
    parts = [svg.line(f"M{-w:.2f},{y - 3:.2f} L{w:.2f},{y - 3:.2f}", "#17181c", 1.8)]
    for side in (-1, 1):
        data = f"M{side * (x - 7.4):.2f},{y - 4.6:.2f} L{side * (x + 8.4):.2f},{y - 5:.2f} Q{side * (x + 8.4):.2f},{y + 7:.2f} {side * x:.2f},{y + 6.6:.2f} Q{side * (x - 7.4):.2f},{y + 6:.2f} {side * (x - 7.4):.2f},{y - 4.6:.2f} Z"
        parts.append(svg.path(data, "#1d1f26"))
        parts.append(svg.line(f"M{side * x - 4:.2f},{y - 1.5:.2f} L{side * x - 0.5:.2f},{y - 3:.2f}", "#6c7386", 1.2))
    return "".join(parts)


def rotate(point: tuple[float, float], figure: Figure) -> tuple[float, float]:
    """A point in head coordinates, in units of the picture."""
    angle = np.deg2rad(figure.tilt)
    x, y = point
    return (
        float(figure.x + figure.scale * (x * np.cos(angle) - y * np.sin(angle))),
        float(figure.y + figure.scale * (x * np.sin(angle) + y * np.cos(angle))),
    )

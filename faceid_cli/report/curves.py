"""Loss curves as inline SVG, in the colours of the page, and legible on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

_WIDTH, _HEIGHT = 320, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 12, 30
_MOST_POINTS = 240
_SMOOTH_SHARE = 20  # the strong line is a mean over a twentieth of the run


def loss_curve(values: Sequence[float], label: str) -> str:
    """Draw a curve over the steps: faintly what was measured, and on top of it the mean of the steps around.

    Args:
        values: One a step, at least one; finite.
        label: What it is, for those who cannot see it.

    Returns:
        An <svg> element; its colours are the page's, by the classes "axis", "faint" and "strong".
    """
    raw, smooth = _thinned(values), _thinned(smoothed(values, max(len(values) // _SMOOTH_SHARE, 1)))
    low, high = min(value for _, value in raw), max(value for _, value in raw)
    if high - low < 1e-12:
        low, high = low - 0.5 * abs(low) - 1e-6, high + 0.5 * abs(high) + 1e-6
    steps = len(values)
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    described = f"{label}: {values[0]:.3g} at the first step, {smooth[-1][1]:.3g} at the end"
    return "".join(
        [
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(described)}">',
            f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>',
            f'<text x="{_LEFT - 6}" y="{_TOP + 5}" text-anchor="end">{high:.3g}</text>',
            f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">{low:.3g}</text>',
            f'<text x="{_LEFT}" y="{_HEIGHT - 10}">step 1</text>',
            f'<text x="{right}" y="{_HEIGHT - 10}" text-anchor="end">{steps}</text>',
            f'<polyline class="faint" points="{_points(raw, steps, low, high)}"/>',
            f'<polyline class="strong" points="{_points(smooth, steps, low, high)}"/>',
            "</svg>",
        ]
    )


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of up to `window` values on either side of each, itself included."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    found = []
    for index in range(len(values)):
        start, end = max(index - window, 0), min(index + window + 1, len(values))
        found.append((sums[end] - sums[start]) / (end - start))
    return found


def _thinned(values: Sequence[float]) -> list[tuple[float, float]]:
    """(step, value) pairs from step 1, as means of equal pieces where there are too many to draw."""
    if len(values) <= _MOST_POINTS:
        return [(float(step), value) for step, value in enumerate(values, start=1)]
    bounds = [len(values) * piece // _MOST_POINTS for piece in range(_MOST_POINTS + 1)]
    return [((start + 1 + end) / 2, sum(values[start:end]) / (end - start)) for start, end in pairwise(bounds)]


def _points(pairs: Sequence[tuple[float, float]], steps: int, low: float, high: float) -> str:
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    places = [
        (_LEFT + across * (step - 1) / max(steps - 1, 1), _TOP + down * (high - value) / (high - low))
        for step, value in pairs
    ]
    if len(places) == 1:  # a line of one point shows nothing
        places.append((places[0][0] + across, places[0][1]))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)

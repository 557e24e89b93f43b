"""The tables of `compose`, and its goals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.intervals import bootstrap_interval

GOALS = {2: 0.85, 3: 0.7}
MOST_SWAPS = 0.1
Scores = Mapping[str, Any]

_COLUMNS: dict[str, Callable[[Scores], Any]] = {
    "all right": lambda score: score["is_right"],
    "each right": lambda score: np.mean(score["are_right"]),
    "likeness": lambda score: np.mean(score["similarities"]),
    "apart": lambda score: score["confusion"],
    "blends": lambda score: score["blends"],
    "swaps": lambda score: score["swaps"],
    "obeyed": lambda score: score["obeyed"],
    "copy": lambda score: np.mean(score["copies"]) if score.get("copies") else None,
    "right number": lambda score: score["faces"] == len(score["are_right"]),
}


def tables(records: Sequence[Mapping[str, Any]], labels: Mapping[str, str], alike: int) -> str:
    """All tables as markdown, and the goals.

    Args:
        records: Of the ledgers; those of the base model of the last one count.
        labels: The ways, by name, in the order of the tables.
        alike: So many of the first pairs are of people who are alike.
    """
    if not records:
        return "nothing is measured yet: python -m benchmarks.compose run"
    last = records[-1]["key"]
    same = [each for each in records if all(each["key"][name] == last[name] for name in ("base", "judge", "prompts"))]
    by_key = {str(each["key"]): each for each in same}
    parts = [f"Base model {last['base']}, {last['sampler'][0]} sampler steps."]
    for title, size, wanted in (
        ("Pairs", 2, lambda number: True),
        ("Pairs of people who are alike", 2, lambda number: number < alike),
        ("Triples", 3, lambda number: True),
    ):
        chosen = [each for each in by_key.values() if each["group"][0] == size and wanted(each["group"][1])]
        if chosen:
            parts.append(_table(title, chosen, labels))
    parts.append("\n".join(_goals(list(by_key.values()))))
    return "\n\n".join(parts)


def _table(title: str, records: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> str:
    lines = [f"| {title} | groups | {' | '.join(_COLUMNS)} |", "|---|---|" + "---|" * len(_COLUMNS)]
    for way, label in labels.items():
        own = [each for each in records if each["key"]["way"] == way]
        if own:
            cells = [_cell(own, read, name == "all right") for name, read in _COLUMNS.items()]
            lines.append(f"| {label} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(records: Sequence[Mapping[str, Any]], read: Callable[[Scores], Any], with_interval: bool) -> str:
    values = [[float(read(score)) for score in each["scores"] if read(score) is not None] for each in records]
    values = [each for each in values if each]
    if not values:
        return ""
    found = bootstrap_interval(values)
    return f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f})" if with_interval else f"{found.mean:.2f}"


def _goals(records: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for size, least in GOALS.items():
        ours = _mean(records, size, "regions", _COLUMNS["all right"])
        plain = _mean(records, size, "plain", _COLUMNS["all right"])
        if ours is not None:
            lines.append(_goal(f"all {size} right in {least:.2f} of pictures", ours, ours >= least))
            if plain is not None:
                lines.append(_goal(f"plain prompting of {size} people less than half of that", plain, plain < ours / 2))
    swaps = _mean(records, 2, "regions", _COLUMNS["swaps"])
    if swaps is not None:
        lines.append(_goal(f"swaps at most {MOST_SWAPS:.2f}", swaps, swaps <= MOST_SWAPS))
    return lines


def _mean(records: Sequence[Mapping[str, Any]], size: int, way: str, read: Callable[[Scores], Any]) -> float | None:
    values = [
        float(read(score))
        for each in records
        if each["group"][0] == size and each["key"]["way"] == way
        for score in each["scores"]
        if read(score) is not None
    ]
    return float(np.mean(values)) if values else None


def _goal(text: str, value: float, is_met: bool) -> str:
    return f"- {'met' if is_met else 'NOT met'}: {text}: {value:.2f}"

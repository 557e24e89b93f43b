"""Two or three options with several values each: every combination of them is a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.jobs.columns import REQUEST, SEEDS, options_of

_NOT_OF_A_GRID = ("seed", SEEDS, "count", "output", REQUEST)


@dataclass(frozen=True)
class Axis:
    """One option of a grid.

    Attributes:
        label: As it was written.
        values: What was written, and the options that it means.
    """

    label: str
    values: tuple[tuple[str, Mapping[str, Any]], ...]

    @property
    def fields(self) -> set[str]:
        """All options that any of its values sets."""
        return {name for _, options in self.values for name in options}


@dataclass(frozen=True)
class Cell:
    """One combination: its labels, one for each axis, and its options."""

    labels: tuple[str, ...]
    options: Mapping[str, Any]


def read_axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Read "guidance=5,7.5"; with ";" between values that have commas themselves.

    Raises:
        UsageError: No option of that name, values that it cannot have, or two sides that set the same.
    """
    axes: list[Axis] = []
    for text in texts:
        for part in text.split():
            label, equals, values = part.partition("=")
            if not equals or not values:
                raise UsageError(f"{part!r} is no side of a grid", "write it as guidance=5,7.5")
            said = [each.strip() for each in values.split(";" if ";" in values else ",")]
            try:
                axis = Axis(label, tuple((value, options_of({label: value})) for value in said))
            except UsageError as error:
                raise UsageError(f"--grid {label}: {error.message}", error.hint) from error
            options = axis.values[0][1]
            if not options or not options.keys().isdisjoint(_NOT_OF_A_GRID):  # by whatever name they are called
                raise UsageError(f"{label} is no side of a grid", "several seeds: --seeds 0-3")
            for other in axes:
                if not axis.fields.isdisjoint(other.fields):
                    raise UsageError(
                        f"the sides {other.label} and {label} of the grid set the same",
                        "write all values into one side",
                    )
            axes.append(axis)
    return tuple(axes)


def cells(axes: Sequence[Axis]) -> Iterator[Cell]:
    """Every combination, the last axis fastest; one without labels where there are no axes."""
    for chosen in product(*(axis.values for axis in axes)):
        labels = tuple(f"{axis.label} {text}" for axis, (text, _) in zip(axes, chosen, strict=True))
        yield Cell(labels, {name: value for _, options in chosen for name, value in options.items()})

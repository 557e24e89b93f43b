"""Where the people of a picture are: grids with names, given regions, and what is wrong with them. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.kept.foreign import read_json, reading
from faceid_cli.orders.composing import GRIDS, NO_LAYOUT, parse_region
from faceid_cli.rendering.scene import Figure, Scene
from faceid_cli.types import Face, Region

Layout = tuple[Region, ...]
"""For each person of a picture, as the prompt names them, their region."""

_GAP, _TOP = 0.01, 0.1
_SIDE, _ABOVE = 1.5, 0.6  # how far a person reaches beside and above their face, in widths and heights of it
_APART = 0.3  # faces whose middles are nearer than so many widths stand above each other
_MOST_BYTES = 100_000


@dataclass(frozen=True)
class Cast:
    """The people of a picture.

    Attributes:
        scene: What the prompt says of them.
        how: How their regions are chosen, as `--layout` says it.
        layout: Their regions; None where they are to be found for each seed.
    """

    scene: Scene
    how: str
    layout: Layout | None


def even_grid(count: int) -> Layout:
    """People side by side, each with an equal part of the picture but its upper edge."""
    return tuple((place / count + _GAP, _TOP, (place + 1) / count - _GAP, 1.0) for place in range(count))


def grid_of(name: str, count: int) -> Layout:
    """The regions of a grid for so many people; of a grid with more places, the first ones.

    Raises:
        UsageError: More people than regions.
    """
    if name == "squares":
        cells = tuple(
            (left + _GAP, top + _GAP, left + 0.5 - _GAP, top + 0.5 - _GAP) for top in (0.0, 0.5) for left in (0.0, 0.5)
        )
    else:
        cells = even_grid(GRIDS[name])
    if count > len(cells):
        raise UsageError(
            f"there are {count} people and the layout {name} has {len(cells)} regions",
            f"choose another one ({', '.join(GRIDS)}), auto, or give each of them a --region",
        )
    return cells[:count]


def layout_of_faces(faces: Sequence[Face], count: int, size: tuple[int, int]) -> Layout | None:
    """Regions around the largest faces of a picture, from left to right; None where there are too few.

    Args:
        faces: Found in the picture.
        count: How many people there are to be.
        size: Width and height of the picture in pixels.
    """
    largest = sorted(faces, key=lambda face: -face.box.area)[:count]
    if len(largest) < count:
        return None
    largest.sort(key=lambda face: face.box.center[0])
    width, height = size
    regions = []
    for face in largest:
        middle = face.box.center[0]
        left, right = middle - _SIDE * face.box.width, middle + _SIDE * face.box.width
        for other in largest:
            apart = other.box.center[0] - middle
            if apart > _APART * face.box.width:
                right = min(right, middle + apart / 2)
            elif apart < -_APART * face.box.width:
                left = max(left, middle + apart / 2)
        top = face.box.y - _ABOVE * face.box.height
        regions.append((max(left / width, 0.0), min(max(top / height, 0.0), 0.9), min(right / width, 1.0), 1.0))
    rounded = tuple((round(a, 3), round(b, 3), round(c, 3), round(d, 3)) for a, b, c, d in regions)
    return rounded if len(set(rounded)) == count else None


def given_layout(regions: Sequence[str], figures: Sequence[Figure]) -> Layout:
    """The regions of `--region`, in the order of the prompt's people.

    Args:
        regions: "NAME=left,top,right,bottom" each; who has no name is called by their place in the prompt, from 1.
        figures: The people.

    Raises:
        UsageError: Somebody without a region, a region of nobody, or two that are equal.
    """
    keys = keys_of(figures)
    found: dict[str, Region] = {}
    for text in regions:
        who, region = parse_region(text)
        if who not in keys:
            raise UsageError(f"--region {text} is nobody's: the prompt has {', '.join(keys)}", "call them so")
        if who in found:
            raise UsageError(f"{who} has two regions", "give each person one")
        found[who] = region
    missing = [key for key in keys if key not in found]
    if missing:
        raise UsageError(
            f"there are {len(keys)} people and {len(found)} regions: {', '.join(missing)} has none",
            f"give it as --region {missing[0]}=0.0,0.1,0.5,1.0, or leave out all of them",
        )
    equal = [key for key in keys if list(found.values()).count(found[key]) > 1]
    if equal:
        raise UsageError(f"{' and '.join(equal)} have the same region", "nobody can tell who is where: part them")
    return tuple(found[key] for key in keys)


def keys_of(figures: Sequence[Figure]) -> list[str]:
    """What people are called where there are regions: by name, or by their place in the prompt."""
    return [figure.name or str(place) for place, figure in enumerate(figures, 1)]


def written_layout(figures: Sequence[Figure], layout: Layout) -> tuple[str, ...]:
    """The opposite of `given_layout`."""
    return tuple(
        f"{key}={','.join(f'{edge:g}' for edge in region)}"
        for key, region in zip(keys_of(figures), layout, strict=True)
    )


def read_layout_file(path: Path) -> tuple[str, ...]:
    """Regions from a JSON file: {"alice": [left, top, right, bottom], ...}.

    Raises:
        UsageError: It is none, or a region is outside of the picture.
        FaceIDError: It cannot be read.
    """
    how = 'write {"alice": [0.0, 0.1, 0.5, 1.0], "bob": [0.5, 0.1, 1.0, 1.0]}, in shares of the picture'
    with reading(path, UsageError, how, "layout"):
        found: Any = read_json(path, _MOST_BYTES, is_written_by_hand=True)
        if not isinstance(found, Mapping) or not found:
            raise ValueError("no regions by name")
        texts = tuple(f"{name}={','.join(str(float(edge)) for edge in edges)}" for name, edges in found.items())
    for text in texts:
        parse_region(text)
    return texts


def check_people(count: int, most: int) -> None:
    """Refuse more people than can be kept apart.

    Raises:
        UsageError: In that case.
    """
    if count > most:
        raise UsageError(
            f"the prompt has {count} people, and no more than {most} can be kept apart",
            f"name fewer, or render without regions: --layout {NO_LAYOUT}",
        )

"""Sheets of grids: all pictures that differ in the options of the grid alone, each with its values below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from faceid_cli.api.wanted import RENDERED, Outcome
from faceid_cli.contact_sheet import contact_sheet
from faceid_cli.kept.remote import shown_path
from faceid_cli.rendering.metadata import opened_file
from faceid_cli.rendering.save import OutputPlan, save_picture
from faceid_cli.types import OnNote

_CELL_PX = 512


def write_sheets(cells: Mapping[int, Sequence[Outcome]], on_note: OnNote) -> list[Path]:
    """Write a sheet for each grid of which something was rendered and nothing failed; returns where they are.

    Args:
        cells: What came of the pictures of each grid, in any order.
        on_note: Told where the sheets are.

    Raises:
        OutputError: A sheet cannot be written.
    """
    written = []
    for outcomes in cells.values():
        there = sorted((each for each in outcomes if each.path is not None), key=_index)
        if len(there) == len(outcomes) and any(each.status == RENDERED for each in there):
            written.append(_write(there))
            on_note(f"the grid is {shown_path(written[-1])}")
    return written


def _write(there: Sequence[Outcome]) -> Path:
    labels = [each.job.labels for each in there if each.job is not None]
    paths = [each.path for each in there if each.path is not None]
    images = [_thumbnail(path) for path in paths]
    columns = len({label[-1] for label in labels})
    sheet = contact_sheet(images, [" · ".join(label) for label in labels], columns)
    return save_picture(sheet, OutputPlan(paths[0].parent, f"grid-{_index(there[0]):05d}", numbered=False))


def _thumbnail(path: Path) -> Image.Image:
    with opened_file(path) as image:
        image.thumbnail((_CELL_PX, _CELL_PX), Image.Resampling.LANCZOS)
        return image.convert("RGB")


def _index(outcome: Outcome) -> int:
    return 0 if outcome.job is None else outcome.job.index

"""What is told and kept about the photos of an enrolment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faceid_cli.faces.intake import Intake, OnUnclear
from faceid_cli.faces.look import Look
from faceid_cli.faces.sheets import faces_sheet, save_sheet
from faceid_cli.orders.checks import user_path

_MOST_TOLD = 20


def faces_hint(sheet: Path | str | None) -> OnUnclear:
    """What helps where it is not clear which face is meant: a sheet of numbered faces, or how to get one."""

    def show_faces(looks: Sequence[Look]) -> str:
        if sheet is None:
            return "`faceid photos check` writes a sheet with numbered faces"
        return f"{save_sheet(faces_sheet(looks), user_path(sheet))} shows the numbered faces"

    return show_faces


def lines_on(intake: Intake) -> Iterator[str]:
    """What is worth telling about the photos."""
    told = [verdict for verdict in intake.verdicts if verdict.reasons]
    for verdict in told[:_MOST_TOLD]:
        prefix = "left out" if verdict.grade == "left out" else "used in spite of flaws:"
        yield f"{prefix} {verdict.path.name}: {', '.join(verdict.reasons)}".replace("flaws: ", "flaws, ")
    if len(told) > _MOST_TOLD:
        yield f"... and {len(told) - _MOST_TOLD} more: `faceid photos check` shows all of them"
    yield from (f"warning: {warning}" for warning in intake.warnings)


def photo_records(intake: Intake) -> list[dict[str, Any]]:
    """What is kept about each photo, as JSON values, with a small copy of those that were used under "thumbnail"."""
    looks = {look.path: look for look in intake.looks}
    records = []
    for verdict in intake.verdicts:
        record: dict[str, Any] = {
            "photo": verdict.path.name,
            "verdict": verdict.grade,
            "reasons": list(verdict.reasons),
        }
        look = looks.get(verdict.path)
        if verdict.grade != "left out" and look is not None and look.thumbnail is not None:
            record |= {
                "photo_sha256": look.sha256,
                "size": list(look.size),
                "faces": [asdict(face) for face in look.faces],
                "chosen": verdict.face,
                "thumbnail": look.thumbnail,
            }
        records.append(record)
    return records

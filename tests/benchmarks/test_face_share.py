"""benchmarks/face_share.py: the same snapshots, framed otherwise; results survive a stop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("peft", reason="the benchmarks' own packages: pip install '.[benchmarks]'")

from benchmarks import face_share
from benchmarks.face_share import FIRST_PERSON, crops_at, main


@pytest.mark.parametrize("share", face_share.SHARES)
def test_faces_take_the_share_that_is_asked_for(share: float) -> None:
    for crop in crops_at(FIRST_PERSON, 3, share, 128):
        assert crop.face is not None
        assert max(crop.face.box.height, crop.face.box.width) == pytest.approx(share * 128, rel=0.02)


def test_only_the_framing_differs() -> None:
    """The face of a wide crop, enlarged, is the face of the narrow one."""
    (wide,), (narrow,) = (crops_at(FIRST_PERSON + 1, 1, share, 256) for share in (0.3, 0.6))
    faces = []
    for crop in (wide, narrow):
        assert crop.face is not None
        box = crop.face.box
        area = (box.x, box.y, box.x + box.width, box.y + box.height)
        faces.append(np.asarray(crop.image.resize((48, 48), box=area), dtype=float))
    assert np.abs(faces[0] - faces[1]).mean() < 6


@pytest.mark.slow
def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--people", "1", "--photos", "1", "--prompts", "1", "--steps", "1", "--render-steps", "1"]
    main(["run", *quick, "--shares", "0.3", "--output", str(tmp_path)])
    assert capsys.readouterr().out.count("ID(P)") >= 1
    main(["run", *quick, "--shares", "0.3", "0.35", "--output", str(tmp_path)])
    said = capsys.readouterr().out
    assert "share 0.35" in said
    assert "share 0.3:" not in said  # done before
    assert len((tmp_path / "face_share.jsonl").read_text().splitlines()) == 2
    text = (tmp_path / "face_share.md").read_text()
    assert "| 0.3 | 1 |" in text
    assert "| 0.35 (default) | 1 |" in text
    assert "every variant needs 5 people, and one has 1" in text

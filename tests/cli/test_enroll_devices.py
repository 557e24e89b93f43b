"""`faceid enroll --each --devices`: people learned by processes of this machine, and kept by the one that was asked."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceid_cli.api import learning_worker, rendering_worker
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.kept.material import material_folder
from faceid_cli.workers.pool import Place


class Stranger(learning_worker.LearningWorker):
    """Has another home than the one who sends it work, as on another machine."""

    def __init__(self, place: Place, told: rendering_worker.Told) -> None:
        os.environ["FACEID_HOME"] = str(Path("elsewhere").absolute())
        super().__init__(place, told)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A folder with the photos of two people, and one whose photo is none."""
    folder = tmp_path / "people"
    for number, name in enumerate(("ann", "bob")):
        (folder / name).mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / "1.png")
    (folder / "cid").mkdir()
    (folder / "cid" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.mark.slow
def test_people_are_learned_elsewhere_and_kept_here(faceid, people, tiny_model_dir, monkeypatch) -> None:
    monkeypatch.setattr("faceid_cli.api.teaching.LearningWorker", Stranger)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    quick = ("--no-detect", "--steps", 2, "--batch", 1, "--precision", "float32", "--model", tiny_model_dir)
    words = ("enroll", "--each", people, *quick, "--consent", "yes", "--preview-every", 1)
    answer = faceid(*words, "--devices", "cpu")
    assert answer.code == 1
    rows = [line.split()[:4] for line in answer.out.splitlines()[1:]]
    assert {row[0]: row[1] for row in rows} == {"ann": "enrolled", "bob": "enrolled", "cid": "failed"}
    assert "1 of 3 people failed" in answer.err
    assert not Path("elsewhere/registry.db").exists()
    assert not list(Path("elsewhere").glob("runs/*")), "no checkpoint is left"
    for name in ("ann", "bob"):
        found = faceid("show", name, "--json").data["identity"]
        kept = material_folder(found["id"])
        assert (kept / "crop-001.png").is_file()
        assert list(kept.glob("preview-*.png"))
        assert found["consent"] == "yes"
    assert not list(paths.runs_dir().glob("*"))
    assert faceid("enroll", "alone", people / "bob", *quick, "--device", "cpu").code == 0
    alone = load_identity(Path(faceid("show", "alone", "--json").data["identity"]["file"])).keys
    for encoder, keys in load_identity(Path(found["file"])).keys.items():
        assert np.allclose(keys, alone[encoder], atol=2e-4)


def test_one_person_is_learned_on_one_device(faceid, people) -> None:
    answer = faceid("enroll", "ann", people / "ann", "--devices", "cpu")
    assert answer.code == 2
    assert "one person is learned on one device" in answer.err

"""What is kept of a person may have come with a bundle or a backup: a report shows what it can, whatever it says."""

from __future__ import annotations

import random

import pytest
from PIL import Image

from benchmarks.hostile.mutate import changed_json, json_text
from faceid_cli.kept.material import INDEX, SCORES, material_folder, read_json
from faceid_cli.report.attention_maps import kept_maps
from faceid_cli.report.gather import _evaluation, _photos

_ID = "0" * 32
_FACE = {"box": {"x": 1, "y": 1, "width": 5, "height": 5}, "landmarks": [[1, 1]] * 5, "score": 1.0}
_PHOTO = {"photo": "a.jpg", "photo_sha256": "b" * 64}
_GOOD = {
    INDEX: {
        "photos": [
            {**_PHOTO, "verdict": "used", "reasons": ["dim"], "thumbnail": "photo-001.jpg", "faces": [_FACE]}
            | {"chosen": 1, "size": [32, 32]}
        ],
        "crops": [{**_PHOTO, "crop": "crop-001.png", "mask": "mask-001.png", "face": _FACE, "others": [_FACE["box"]]}],
    },
    SCORES: {"summary": {"pictures": 3, "identity": 0.5}, "groups": {"style": {"prompt": 1}}, "created": "2026"},
    "attention.json": {"prompt": "<alice>", "seed": 1, "labels": ["picture", "alice"]},
}


@pytest.mark.parametrize("name", _GOOD)
def test_a_report_can_be_made_of_anything_that_is_kept(name: str) -> None:
    folder, chance = material_folder(_ID), random.Random(7)
    folder.mkdir(parents=True)
    for file in ("crop-001.png", "mask-001.png", "photo-001.jpg"):
        Image.new("RGB", (32, 32)).save(folder / file)
    readers = {
        INDEX: lambda: len(_photos(_ID, {"b" * 64})[0].pictures),
        SCORES: lambda: _evaluation(read_json(_ID, SCORES) or {}).rows[0][3],
        "attention.json": lambda: kept_maps(_ID),
    }
    (folder / name).write_bytes(json_text(_GOOD[name], random.Random(0)))
    assert readers[name]() == {INDEX: 2, SCORES: "-", "attention.json": None}[name]
    for _ in range(400):
        (folder / name).write_bytes(json_text(changed_json(_GOOD[name], chance), chance))
        kept_maps(_ID)
        _photos(_ID, {"b" * 64})
        _evaluation(read_json(_ID, SCORES) or {})

"""Things without a face: learned, listed, rendered, evaluated and reported like people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from faceid_cli.orders import is_people_word

CHEAP = ("--device", "cpu", "--steps", 2)


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    """Two pictures of a red car from either side."""
    folder = tmp_path / "cars"
    folder.mkdir()
    image = Image.new("RGB", (160, 160), (210, 225, 235))
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 80, 140, 115), fill=(200, 30, 30))
    draw.polygon([(45, 80), (60, 55), (90, 55), (95, 80)], fill=(200, 30, 30))
    for left in (32, 98):
        draw.ellipse((left, 100, left + 30, 130), fill=(20, 20, 20))
    image.save(folder / "right.png")
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((0, 10, 150, 160)).save(folder / "left.png")
    return folder


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.txt"
    file.write_text("{} on the beach\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("model", [pytest.param("builtin", marks=pytest.mark.slow), "tiny"])
def test_a_thing_goes_the_whole_way(faceid, cars, prompts, tiny_model_dir, model) -> None:
    source = "builtin" if model == "builtin" else tiny_model_dir
    quick = ("--model", source, "--steps", 1, "--batch", 1, "--device", "cpu")
    answer = faceid("enroll", "beetle", cars, "--class", "car", "--no-detect", *quick, "--json")
    assert answer.code == 0, answer.err
    method = answer.data["identity"]["method"]
    assert (method["class_word"], method["templates"]) == ("car", "photo")
    assert "basketball" not in faceid("enroll", "other", cars, "--class", "car", "--no-detect", *quick).err

    assert faceid("list").out.splitlines()[1].split()[:2] == ["beetle", "car"]
    assert faceid("show", "beetle").code == 0
    shown = faceid("generate", "beetle", "on the beach", *CHEAP, "--json").data["renders"][0]
    assert shown["settings"]["prompt"] == "a photo of <beetle> on the beach"
    refused = faceid("generate", "beetle", "on the beach", "--auto", *CHEAP)
    assert refused.code == 2
    assert "learned as car, and --auto compares faces" in refused.err
    looked = faceid("attention", "beetle", "on the beach", *CHEAP, "--json")
    assert looked.code == 0, looked.err
    reported = faceid("report", "beetle", "--no-attention", "--json")
    assert reported.code == 0, reported.err
    page = Path(reported.data["file"]).read_text(encoding="utf-8")
    assert "--class car" in page
    assert "--no-detect" in page
    assert "--templates photo" in page

    evaluated = faceid("evaluate", "beetle", "--prompts", prompts, *CHEAP, "--json")
    if model == "builtin":
        assert evaluated.code == 0, evaluated.err
        assert "beetle was learned as car, so no face is looked for" in evaluated.err
        summary = evaluated.data["evaluations"][0]["summary"]
        assert summary["identity"] is None
        assert summary["likeness_percent"] is None
    else:  # of what scores photographs, only that for prompts is missed
        assert evaluated.code == 5
        assert "the CLIP model that scores prompts is missing" in evaluated.err

    assert faceid("export", "beetle", "-o", "beetle.safetensors").code == 0
    assert faceid("import", "beetle.safetensors", "--name", "copy").code == 0
    again = faceid("generate", "copy", "on the beach", "--seed", shown["seed"], *CHEAP, "--json")
    first, second = (np.asarray(Image.open(file)) for file in (shown["file"], again.data["renders"][0]["file"]))
    assert np.array_equal(first, second)


def test_sentences_about_a_face_remain_where_there_is_one_or_they_are_asked_for(faceid, cars, tiny_model_dir) -> None:
    quick = ("--model", tiny_model_dir, "--steps", 1, "--batch", 1, "--device", "cpu", "--no-detect", "--json")
    asked = faceid("enroll", "cat", cars, "--class", "cat", "--templates", "face", *quick)
    assert asked.data["identity"]["method"]["templates"] == "face"
    woman = faceid("enroll", "alice", cars, "--class", "woman", *quick)
    assert woman.data["identity"]["method"]["templates"] == "face"


@pytest.mark.parametrize(
    ("word", "people"),
    [("person", True), ("old man", True), ("Woman", True), ("cat", False), ("sports car", False), ("manor", False)],
)
def test_words_for_people(word: str, people: bool) -> None:
    assert is_people_word(word) == people

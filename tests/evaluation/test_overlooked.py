"""evaluation/overlooked.py: blur and pasted faces, which recognisers forgive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from faceid_cli.builtin.draw import Drawing
from faceid_cli.builtin.samples import photo_set
from faceid_cli.evaluation.overlooked import (
    LEAST_FACE_SPREAD,
    LEAST_SHARPNESS,
    face_details,
    face_spread,
    mean_details,
    sharpness,
)
from faceid_cli.evaluation.picture import ScoredPicture
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.scores import PictureScore
from faceid_cli.evaluation.summary import summarise, warnings_of
from faceid_cli.types import Box, Face


@pytest.fixture(scope="module")
def drawings() -> list[Drawing]:
    return photo_set(5, 6, 0, 512)


def details_of(drawing: Drawing, blur: float = 0.0, scale: float = 1.0) -> dict[int, float]:
    face, image = drawing.faces[0], drawing.image.filter(ImageFilter.GaussianBlur(blur))
    box = Box(face.box.x * scale, face.box.y * scale, face.box.width * scale, face.box.height * scale)
    size = (round(image.width * scale), round(image.height * scale))
    return face_details(image.resize(size, Image.Resampling.LANCZOS), replace(face, box=box))


def test_blur_costs_detail_and_size_does_not(drawings) -> None:
    photos = mean_details([details_of(drawing) for drawing in drawings[:3]])
    assert set(photos) >= {40, 80}
    sharp, soft, softer = (
        np.mean([sharpness(details_of(drawing, blur, 0.25), photos) for drawing in drawings[3:]])
        for blur in (0.0, 8.0, 16.0)
    )
    assert sharp == pytest.approx(1.0, abs=0.15), "a render of 128 px is as sharp as photos of 512 px"
    assert soft < LEAST_SHARPNESS
    assert softer < soft


def test_a_blur_that_only_a_large_picture_shows_is_found_in_a_large_picture(drawings) -> None:
    photos = mean_details([details_of(drawing) for drawing in drawings[:3]])
    large = sharpness(details_of(drawings[4], 3.0), photos)
    small = sharpness(details_of(drawings[4], 3.0, 0.25), photos)
    assert large < small
    assert large < 0.8


def test_what_cannot_be_compared_has_no_sharpness() -> None:
    picture = Image.new("RGB", (64, 64))
    assert face_details(picture, Face(Box(70, 70, 20, 20), (), 1.0)) == {}
    assert sharpness({}, {40: 0.5}) is None
    assert sharpness({40: 0.5}, {80: 0.5}) is None
    assert mean_details([]) == {}
    assert mean_details([{40: 0.5, 80: 0.7}, {40: 0.7}]) == {40: pytest.approx(0.6)}


def scored(image: Image.Image, face: Face, sharp: float | None = None) -> ScoredPicture:
    return ScoredPicture(
        EvaluationPrompt("{}", "scene", ()), 0, image, PictureScore(0.9), None, 90.0, 1, face, None, sharp
    )


def test_one_face_pasted_into_many_pictures_is_found_out(drawings) -> None:
    own = [scored(drawing.image, drawing.faces[0]) for drawing in drawings]
    box = drawings[0].faces[0].box
    head = drawings[0].image.crop((round(box.x), round(box.y), round(box.x + box.width), round(box.y + box.height)))
    pasted = []
    for place, drawing in enumerate(drawings):
        image, at = drawing.image.copy(), Box(40 + 30 * place, 60 + 20 * place, head.width * 0.8, head.height * 0.8)
        image.paste(head.resize((round(at.width), round(at.height))), (round(at.x), round(at.y)))
        pasted.append(scored(image, Face(at, (), 1.0)))
    assert face_spread(own) > LEAST_FACE_SPREAD
    assert face_spread(pasted) < 0.05, "wherever it is pasted"
    assert face_spread(own[:1]) is None
    even = scored(Image.new("RGB", (64, 64)), Face(Box(8, 8, 20, 20), (), 1.0))
    assert face_spread([even, even]) is None


def test_both_are_told(drawings) -> None:
    one = scored(drawings[0].image, drawings[0].faces[0], 0.4)
    summary = summarise([one, one], True)
    assert summary.sharpness == 0.4
    assert summary.face_spread == pytest.approx(0, abs=1e-9)
    blur, paste = warnings_of(summary)
    assert blur == "the faces have 40 % of the photos' detail, and recognisers forgive blur"
    assert "nearly the same face" in paste
    assert warnings_of(replace(summary, sharpness=1.0, face_spread=0.5)) == []
    assert warnings_of(replace(summary, sharpness=None, face_spread=None)) == []

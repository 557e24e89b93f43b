"""What the training recipes rely on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.pretrain.dataset import CROP_HEIGHT, CROP_WIDTH, crop_place, importance_of
from faceid_cli.builtin.pretrain.tokenizer import WINDOW, build_tokenizer
from faceid_cli.builtin.sampling import random_picture
from faceid_cli.kept.paths import builtin_model_dir


def test_a_tokenizer_keeps_the_numbers_that_weights_were_trained_with(tmp_path: Path) -> None:
    first = build_tokenizer(tmp_path).get_vocab()
    files = {name: (tmp_path / name).read_bytes() for name in ("vocab.json", "merges.txt")}
    again = build_tokenizer(tmp_path)
    assert again.get_vocab() == first
    assert again.model_max_length == WINDOW
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    shipped = build_tokenizer(builtin_model_dir() / "tokenizer")
    assert set(shipped.get_vocab()) >= {"basketball</w>", "eiffel</w>"}


def test_faces_and_things_count_more_than_their_area() -> None:
    rng = np.random.default_rng(4)
    for number in range(20):
        picture = random_picture([person_from_seed(number)], rng)
        weights = importance_of(picture, 32)
        assert weights.shape == (32, 32)
        assert abs(float(weights.mean()) - 1) < 1e-5
        figure = picture.figures[0]
        assert weights[int(figure.y / 4), int(figure.x / 4)] > 1.2
        assert weights[0, 0] < 1


def test_crops_lie_inside_the_picture_and_show_a_face() -> None:
    rng = np.random.default_rng(5)
    for number in range(40):
        people = [person_from_seed(number + place) for place in range(1 + number % 3)]
        picture = random_picture(people, rng)
        rows, columns = crop_place(picture, 32, rng)
        assert (rows.stop - rows.start, columns.stop - columns.start) == (CROP_HEIGHT, CROP_WIDTH)
        assert min(rows.start, columns.start) >= 0
        assert max(rows.stop, columns.stop) <= 32
        centers = [(figure.x / 4, figure.y / 4) for figure in picture.figures]
        assert any(columns.start <= x <= columns.stop and rows.start <= y <= rows.stop for x, y in centers)

"""training/regression.py: from the judge's embedding of a person to where their name would lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from faceid_cli.backbone import load_base_model
from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.named_faces import PEOPLE, drawn_embedding, named_faces
from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.errors import UsageError
from faceid_cli.orders import TrainConfig
from faceid_cli.tokens import ENCODER, class_embedding
from faceid_cli.training import regression, train_identity
from faceid_cli.training.engine import Engine
from faceid_cli.training.initial import settled
from faceid_cli.training.regression import fit, names_space, regressed_initial
from faceid_cli.types import FaceCrop


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load()


def test_ridge_finds_a_straight_line_through_the_means() -> None:
    rng = np.random.default_rng(0)
    faces, true = rng.normal(size=(200, 6)), rng.normal(size=(6, 4))
    names = 3 + faces @ true + 0.01 * rng.normal(size=(200, 4))
    found = fit(faces, names, 1e-6)
    assert np.allclose(found.weights, true, atol=0.01)
    assert np.allclose(found.name_of(np.zeros(6)), 3, atol=0.01)
    assert np.abs(fit(faces, names, 1e6).weights).max() < 1e-3, "much ridge leaves the mean name"


def test_the_names_of_people_left_out_are_found(judge) -> None:
    """Of people whom the fit has not seen, each one's own name is the nearest of all."""
    table = regression._name_table(load_base_model("builtin", "cpu", "float32"))
    known = named_faces()
    fitted = fit(known, table[: len(known)])
    others = range(1500, 1520)
    found = np.stack([fitted.name_of(drawn_embedding(judge, number)) for number in others])
    distances = ((found[:, None] - table[None, 1500:1520]) ** 2).sum(-1)
    assert (distances.argmin(axis=1) == np.arange(20)).mean() >= 0.95
    away, true = found - table.mean(0), table[1500:1520] - table.mean(0)
    cosines = (away * true).sum(1) / np.linalg.norm(away, axis=1) / np.linalg.norm(true, axis=1)
    assert cosines.mean() > 0.85


def test_the_shipped_embeddings_are_what_the_judge_says_now(judge) -> None:
    """After a change of the judge or of the drawing they must be made anew."""
    numbers = [0, 500, PEOPLE - 1]
    assert np.allclose(named_faces()[numbers], [drawn_embedding(judge, number) for number in numbers], atol=2e-3)


def crops_of(person: int, base, photos: int = 2) -> list[FaceCrop]:
    rng = np.random.default_rng([7, person])
    drawings = [draw(photo_picture(person_from_seed(person), rng), base.size_px) for _ in range(photos)]
    return [FaceCrop(each.image, each.faces[0], str(n), Path(f"{n}.png")) for n, each in enumerate(drawings)]


@pytest.mark.parametrize("initial_token", ["auto", "regression"])
def test_training_starts_there(initial_token) -> None:
    base = load_base_model("builtin", "cpu", "float32")
    crops = crops_of(1600, base)
    config = TrainConfig(initial_token=initial_token, token_space="embeddings")
    first = Engine(base, crops, config).new_state().module()
    expected = regressed_initial(base, crops)[ENCODER]
    name = class_embedding(base, roster()[1600], base.encoders[0])
    others = torch.stack([class_embedding(base, other, base.encoders[0]) for other in roster()[:50]])
    assert (expected - name).norm() < (others - expected).norm(dim=1).min(), "nearer to the person's name than to any"
    assert torch.equal(first[0], expected.expand(5, 1, -1))
    assert torch.equal(first[1], first[0])


def test_it_needs_a_model_with_named_people_and_a_face(tiny_base, make_crops) -> None:
    base = load_base_model("builtin", "cpu", "float32")

    def start(base, initial_token: str) -> torch.Tensor:
        crops = make_crops(1, base.size_px)
        return Engine(base, crops, TrainConfig(initial_token=initial_token)).new_state().module()[0][0]

    with pytest.raises(UsageError, match="needs the built-in model, whose people have names"):
        start(tiny_base, "regression")
    with pytest.raises(UsageError, match="the judge sees no face in the photos"):
        start(base, "regression")
    for unknowing in (tiny_base, base):
        assert torch.equal(start(unknowing, "auto"), start(unknowing, "class"))


def test_what_is_automatic_is_settled_by_the_base_model_and_the_photos(tiny_base, make_crops) -> None:
    base = load_base_model("builtin", "cpu", "float32")
    for photos in (1, 5):
        known = settled(base, crops_of(1600, base, photos), TrainConfig())
        assert (known.initial_token, known.token_space) == ("regression", "names")
        assert (known.steps, known.learning_rate, known.average_last) == (20, 0.01, 20)
        assert settled(base, crops_of(1600, base, photos), known) == known
    for unknowing, crops in ((tiny_base, make_crops(1)), (base, make_crops(1, base.size_px))):
        found = settled(unknowing, crops, TrainConfig())
        assert (found.initial_token, found.token_space) == ("class", "embeddings")
        assert (found.steps, found.learning_rate, found.average_last) == (300, 0.005, 0)
    said = TrainConfig(steps=7, learning_rate=0.1, average_last=3, initial_token="class", token_space="embeddings")
    assert settled(base, crops_of(1600, base), said) == replace(said, templates="face")


def test_among_names_training_starts_at_the_name_and_stays_in_their_space() -> None:
    base = load_base_model("builtin", "cpu", "float32")
    crops = crops_of(1600, base)
    space = names_space(base)
    assert 20 < len(space.axes) < 100, "people differ in few directions"
    expected = regressed_initial(base, crops)[ENCODER]
    for self_attention in (True, False):
        config = TrainConfig(steps=2, batch_size=1, learning_rate=0.05, warm_up=0, self_attention=self_attention)
        start = Engine(base, crops, config).new_state().module()[0][0, 0]
        assert torch.cosine_similarity(start, expected, dim=0) > 0.99
        keys = train_identity(base, crops, config)[0].keys[ENCODER].flatten(0, 1)
        assert (keys - start).norm(dim=1).max() > 0.05, "it has moved"
        inside = torch.stack([space.embedding_at(space.coordinates_of(each)[None])[0] for each in keys])
        assert torch.allclose(inside, keys, atol=1e-4)


def test_only_a_model_with_named_people_has_their_space(tiny_base, make_crops) -> None:
    with pytest.raises(UsageError, match="token_space=names needs the built-in model"):
        Engine(tiny_base, make_crops(1), TrainConfig(token_space="names")).new_state()

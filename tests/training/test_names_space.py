"""training/regression.py: the space of the names, and the face that the start is found from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.builtin.named_faces import named_faces
from faceid_cli.builtin.names import roster
from faceid_cli.tokens import ENCODER, class_embedding
from faceid_cli.training import regression
from faceid_cli.training.regression import names_space, regressed_initial
from faceid_cli.types import Box, Face, FaceCrop

LANDMARKS = ((8.0, 8.0),) * 5


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return load_base_model("builtin", "cpu", "float32")


def test_the_space_holds_nearly_all_of_the_names_in_as_few_axes_as_it_takes(base) -> None:
    names = torch.stack([class_embedding(base, name) for name in roster()])
    space = names_space(base)
    coordinates = torch.stack([space.coordinates_of(name) for name in names])
    spread = (names - names.mean(dim=0)).square().sum()

    def lost(axes: int) -> float:
        kept = coordinates.clone()
        kept[:, axes:] = 0
        return float((names - space.embedding_at(kept)).square().sum() / spread)

    assert lost(len(space.axes)) <= 0.002 < lost(len(space.axes) - 1)
    crossing = space.axes @ space.axes.T
    assert crossing.abs().sum() - crossing.diagonal().sum() < 1e-3 * crossing.diagonal().sum(), "at right angles"


def test_names_lie_equally_far_along_every_axis(base) -> None:
    """So that one learning rate suits all of them."""
    space = names_space(base)
    coordinates = torch.stack([space.coordinates_of(class_embedding(base, name)) for name in roster()])
    assert torch.allclose(coordinates.std(dim=0), torch.full((len(space.axes),), space.scale), rtol=0.02)
    assert coordinates.mean(dim=0).abs().max() < 1e-3


class WhoIsLarge:
    """A judge that finds a small and a large face, and knows faces of a width as people of the roster."""

    known = named_faces()

    def find_faces(self, image: Image.Image) -> list[Face]:
        return [Face(Box(0, 0, width, width), LANDMARKS, 1.0) for width in (1, 20, 2)]

    def embed(self, image: Image.Image, face: Face) -> np.ndarray:
        return self.known[int(face.box.width)]


def test_the_start_is_the_mean_of_all_photos_own_faces(base, monkeypatch) -> None:
    monkeypatch.setattr(regression.Judge, "load", WhoIsLarge)

    def start(*faces: Face | None) -> torch.Tensor:
        image = Image.new("RGB", (64, 64))
        crops = [FaceCrop(image, face, str(place), Path("p.png")) for place, face in enumerate(faces)]
        return regressed_initial(base, crops)[ENCODER]

    first, second = (Face(Box(0, 0, width, 8), LANDMARKS, 1.0) for width in (5, 6))
    assert not torch.allclose(start(first), start(second), atol=1e-3)
    assert torch.allclose(start(first, second), (start(first) + start(second)) / 2, atol=1e-5)
    largest = Face(Box(0, 0, 20, 20), LANDMARKS, 1.0)
    assert torch.equal(start(None), start(largest)), "where none is known, the largest"
    unmarked = Face(Box(0, 0, 5, 8), (), 1.0)
    assert torch.equal(start(unmarked), start(largest)), "or where its eyes are not"

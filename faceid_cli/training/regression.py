"""Where to start from, by regression: what the text encoder would call a person who looks like that.

The built-in model knows a roster of people by name, one token each. Ridge regression from the judge's embedding of
drawings of those people to their names' token embeddings is fitted once for a model and kept below FACEID_HOME; the
embedding of the photos then says where the name of a person whom nobody has named would lie. Costs no training step.

Shapes: N people, E width of the judge's embedding, D width of token embeddings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor

from faceid_cli import paths
from faceid_cli.backbone import BaseModel
from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.errors import OutputError, UsageError
from faceid_cli.identity_file import write_atomically
from faceid_cli.types import FaceCrop

PEOPLE, DRAWINGS = 1024, 2
RIDGE = 1e-3
"""Relative to the mean variance of an embedding's components. Measured on named people who were left out of the fit;
anything from 1e-4 to 1e-1 is nearly as good."""
_VERSION, _SEED = 1, 0x2E6
_HINT = "use initial_token=search"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """From the judge's embedding of a person to the token embedding of their name.

    Attributes:
        mean_face: (E,).
        mean_name: (D,).
        weights: (E, D).
    """

    mean_face: Array
    mean_name: Array
    weights: Array

    def name_of(self, face: Array) -> Array:
        """The token embedding (D,) that belongs to an embedding (E,)."""
        return self.mean_name + (face - self.mean_face) @ self.weights


def regressed_initial(base: BaseModel, crops: Sequence[FaceCrop], judge: Judge | None = None) -> dict[str, Tensor]:
    """Return the embedding to start from by text encoder, (D,) float32.

    Args:
        base: A base model that knows the roster: the built-in one.
        crops: Of one person.
        judge: The shipped one by default.

    Raises:
        UsageError: Another base model, or the judge sees no face in the crops.
    """
    table = _name_table(base)
    judge = judge or Judge.load()
    faces = [face for crop in crops if (face := _embedding(judge, crop)) is not None]
    if not faces:
        raise UsageError("the judge sees no face in the photos, so it cannot tell where to start from", _HINT)
    found = name_regression(table, judge).name_of(np.mean(faces, axis=0))
    return {base.encoders[0].name: torch.from_numpy(found).float()}


def name_regression(table: Array, judge: Judge) -> Regression:
    """Return the regression for the names' token embeddings (N, D): the kept one, or a new one, which is then kept.

    A damaged file is made anew; where none can be written, the regression is made every time.
    """
    table = table[:PEOPLE]
    path = paths.name_regression_file(_key(table))
    kept = _read(path)
    if kept is not None:
        return kept
    faces = np.stack([drawn_embedding(judge, number) for number in range(len(table))])
    made = fit(faces, table)
    arrays = {"mean_face": made.mean_face, "mean_name": made.mean_name, "weights": made.weights}
    with suppress(OutputError):
        write_atomically(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    return made


def fit(faces: Array, names: Array, ridge: float = RIDGE) -> Regression:
    """Fit ridge regression from faces (N, E) to names (N, D)."""
    mean_face, mean_name = faces.mean(axis=0), names.mean(axis=0)
    away = faces - mean_face
    squares = away.T @ away
    width = squares.shape[0]
    damped = squares + ridge * np.trace(squares) / width * np.eye(width)
    return Regression(mean_face, mean_name, np.linalg.solve(damped, away.T @ (names - mean_name)))


def drawn_embedding(judge: Judge, number: int) -> Array:
    """The judge's mean embedding (E,) of a named person, over a few snapshots that are always the same."""
    rng, person = np.random.default_rng([_SEED, number]), person_from_seed(number)
    drawings = [draw(photo_picture(person, rng)) for _ in range(DRAWINGS)]
    found = [judge.embed(drawing.image, drawing.faces[0]) for drawing in drawings]
    return np.mean(found, axis=0, dtype=np.float64)


def _name_table(base: BaseModel) -> Array:
    """Token embeddings of the roster's names, (N, D) float64."""
    encoder = base.encoders[0]
    vocabulary = encoder.tokenizer.get_vocab()
    tokens = [f"{name}</w>" for name in roster()]
    if len(base.encoders) > 1 or not all(token in vocabulary for token in tokens):
        raise UsageError("initial_token=regression needs the built-in model, whose people have names", _HINT)
    weight: Tensor = encoder.module.get_input_embeddings().weight
    rows: Array = weight[[vocabulary[token] for token in tokens]].detach().double().cpu().numpy()
    return rows


def _embedding(judge: Judge, crop: FaceCrop) -> Array | None:
    face = crop.face if crop.face is not None and crop.face.landmarks else None
    face = face or max(judge.find_faces(crop.image), key=lambda each: each.box.area, default=None)
    return None if face is None else judge.embed(crop.image, face).astype(np.float64)


def _key(table: Array) -> str:
    """Changes with the names' embeddings, the judge and the way of fitting."""
    recipe = f"{_VERSION} {DRAWINGS} {RIDGE} {_SEED} {table.shape}".encode()
    return hashlib.sha256(recipe + paths.builtin_judge_file().read_bytes() + table.tobytes()).hexdigest()[:16]


def _read(path: Path) -> Regression | None:
    try:
        return Regression(**load_file(path))
    except (OSError, SafetensorError, TypeError):
        return None

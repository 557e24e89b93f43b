"""Where to start from, by regression: what the text encoder would call a person who looks like that.

The built-in model knows a roster of people by name, one token each. Ridge regression from the judge's embeddings of
those people to their names' token embeddings says, from the embedding of the photos, where the name of a person whom
nobody has named would lie. Costs no training step.

The same names also say where to stay: the few directions in which they differ from each other are those that faces are
told by, and all else that a token could learn from a few photos is what is not the face (after Celeb Basis, arXiv
2306.00926).

Shapes: N people, E width of the judge's embedding, D width of token embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.named_faces import named_faces
from faceid_cli.builtin.names import roster
from faceid_cli.errors import UsageError
from faceid_cli.tokens import EmbeddingSpace
from faceid_cli.types import Face, FaceCrop

RIDGE = 1e-3
"""Relative to the mean variance of an embedding's components. Measured on named people who were left out of the fit;
anything from 1e-4 to 1e-1 is nearly as good."""

SPREAD_KEPT = 0.998
"""Which part of the names' variance the directions hold that a token may move in."""

_UNIT = 0.1
"""Coordinates along an axis are this large for a typical name, so that the usual learning rate suits them."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """From the judge's embedding of a person to the token embedding of their name.

    Attributes:
        mean_face: (E,): mean of the judge's embeddings that it was fitted to.
        mean_name: (D,): mean of their names' token embeddings.
        weights: (E, D): what a step away from the one mean does to the other.
    """

    mean_face: Array
    mean_name: Array
    weights: Array

    def name_of(self, face: Array) -> Array:
        """The token embedding (D,) that belongs to an embedding (E,)."""
        return self.mean_name + (face - self.mean_face) @ self.weights


def knows_names(base: BaseModel) -> bool:
    """Whether the base model has a token for every name of the roster: the built-in one, however far it is trained."""
    vocabulary = base.tokenizer.get_vocab()
    return len(base.encoders) == 1 and all(f"{name}</w>" in vocabulary for name in roster())


def regressed_initial(base: BaseModel, crops: Sequence[FaceCrop]) -> dict[str, Tensor]:
    """Return the embedding to start from by text encoder, (D,) float32.

    Args:
        base: A base model that knows the roster, see `knows_names`.
        crops: Of one person.

    Raises:
        UsageError: Another base model, or photos in which the judge sees no face.
    """
    if not knows_names(base):
        raise UsageError(
            "initial_token=regression needs the built-in model, whose people have names", "use initial_token=class"
        )
    judge = Judge.load()
    faces = [face for crop in crops if (face := _embedding(judge, crop)) is not None]
    if not faces:
        raise UsageError(
            "the judge sees no face in the photos, so it cannot tell where to start from", "use initial_token=class"
        )
    known = named_faces()
    found = fit(known, _name_table(base)[: len(known)]).name_of(np.mean(faces, axis=0))
    return {base.encoders[0].name: torch.from_numpy(found).float()}


def names_space(base: BaseModel) -> EmbeddingSpace:
    """Return the space that the roster's names span: its axes are their principal components.

    Args:
        base: The base model.

    Raises:
        UsageError: It does not know the roster, see `knows_names`.
    """
    if not knows_names(base):
        raise UsageError(
            "token_space=names needs the built-in model, whose people have names", "use token_space=embeddings"
        )
    names = _name_table(base)
    middle = names.mean(axis=0)
    _, sizes, directions = np.linalg.svd(names - middle, full_matrices=False)
    held = np.cumsum(sizes**2) / np.sum(sizes**2)
    count = int(np.searchsorted(held, SPREAD_KEPT)) + 1
    typical = sizes[:count, None] / np.sqrt(len(names))  # standard deviations
    axes = directions[:count] * typical / _UNIT
    return EmbeddingSpace(torch.from_numpy(middle).float(), torch.from_numpy(axes).float(), _UNIT)


def fit(faces: Array, names: Array, ridge: float = RIDGE) -> Regression:
    """Fit ridge regression from faces (N, E) to names (N, D)."""
    mean_face, mean_name = faces.mean(axis=0), names.mean(axis=0)
    away = faces - mean_face
    squares = away.T @ away
    width = squares.shape[0]
    damped = squares + ridge * np.trace(squares) / width * np.eye(width)
    return Regression(mean_face, mean_name, np.linalg.solve(damped, away.T @ (names - mean_name)))


def _name_table(base: BaseModel) -> Array:
    """Token embeddings of the roster's names, (N, D) float64."""
    encoder = base.encoders[0]
    vocabulary = encoder.tokenizer.get_vocab()
    weight: Tensor = encoder.module.get_input_embeddings().weight
    rows: Array = weight[[vocabulary[f"{name}</w>"] for name in roster()]].detach().double().cpu().numpy()
    return rows


def shows_face(crops: Sequence[FaceCrop]) -> bool:
    """Whether the judge sees a face in any of the crops."""
    judge = Judge.load()
    return any(_face(judge, crop) is not None for crop in crops)


def _face(judge: Judge, crop: FaceCrop) -> Face | None:
    known = crop.face if crop.face is not None and crop.face.landmarks else None
    return known or max(judge.find_faces(crop.image), key=lambda each: each.box.area, default=None)


def _embedding(judge: Judge, crop: FaceCrop) -> Array | None:
    face = _face(judge, crop)
    return None if face is None else judge.embed(crop.image, face).astype(np.float64)

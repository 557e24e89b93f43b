"""The judge's embeddings of people whom the built-in model knows by name, shipped because making them takes minutes.

    python -m faceid_cli.builtin.named_faces        # make them anew, after the judge or the drawing has changed

Training starts from them: training/regression.py. They hold for every base model that knows the same roster.
Shapes: N people, E width of the judge's embedding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.kept.paths import builtin_named_faces_file

PEOPLE, DRAWINGS = 1024, 2
_SEED = 0x2E6

Array = NDArray[np.float64]


def named_faces() -> Array:
    """Embeddings (N, E) of the first N people of the roster."""
    with safe_open(builtin_named_faces_file(), framework="numpy") as file:
        faces: Array = file.get_tensor("faces").astype(np.float64)
    return faces


def drawn_embedding(judge: Judge, number: int) -> Array:
    """The judge's mean embedding (E,) of a named person, over a few snapshots that are always the same."""
    rng, person = np.random.default_rng([_SEED, number]), person_from_seed(number)
    drawings = [draw(photo_picture(person, rng)) for _ in range(DRAWINGS)]
    found = [judge.embed(drawing.image, drawing.faces[0]) for drawing in drawings]
    return np.mean(found, axis=0, dtype=np.float64)


def main() -> None:
    """Draw, embed and write them."""
    judge = Judge.load()
    faces = np.stack([drawn_embedding(judge, number) for number in range(PEOPLE)]).astype(np.float16)
    save_file({"faces": faces}, builtin_named_faces_file())


if __name__ == "__main__":
    main()

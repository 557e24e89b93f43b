"""Textual-inversion files in the layouts that all programs load.

Stable Diffusion 1.x and 2.x: one 2-D tensor "emb_params", and nothing else. XL: "clip_l" and "clip_g". Other layouts
are refused by one program or another (docs/export.md). Shapes: N vectors, D width.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from faceid_cli.errors import OutputError
from faceid_cli.export.person import Vectors

_NAMES_XL = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
_ARCHITECTURES = {"sd1": "stable-diffusion-v1", "sd2": "stable-diffusion-v2-512", "sdxl": "stable-diffusion-xl-v1-base"}


def inversion_file(vectors: Vectors, family: str, stem: str, title: str, hint: str) -> bytes:
    """A textual-inversion file.

    Args:
        vectors: (N, D) by text encoder.
        family: "sd1", "sd2" or "sdxl".
        stem: The file's name without its ending, which is its word in prompts.
        title: What it is, for browsers of models.
        hint: How to use it.
    """
    tensors = {name: np.ascontiguousarray(part, dtype=np.float32) for name, part in named(vectors).items()}
    said = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": f"{_ARCHITECTURES[family]}/textual-inversion",
        "modelspec.implementation": "https://github.com/CompVis/stable-diffusion",
        "modelspec.title": title,
        "modelspec.trigger_phrase": stem,
        "modelspec.usage_hint": hint,
    }
    return _stable(save(tensors, said))


def named(vectors: Vectors) -> dict[str, np.ndarray]:
    """Tensors by the names that they have in such a file."""
    if len(vectors) == 1:
        return {"emb_params": next(iter(vectors.values()))}
    return {_NAMES_XL[encoder]: part for encoder, part in vectors.items()}


def check_written(folder: Path, expected: Mapping[str, Vectors]) -> None:
    """Read files back, as other programs do, and compare.

    Raises:
        OutputError: A file does not hold what it should.
    """
    for name, vectors in expected.items():
        found, wanted = load((folder / name).read_bytes()), named(vectors)
        whole = found.keys() == wanted.keys() and all(np.array_equal(found[key], wanted[key]) for key in wanted)
        if not whole:
            raise OutputError(f"{folder / name} was not written as it should be", "try again, on another disk")


def _stable(content: bytes) -> bytes:
    """The same file with its header's keys in order: several entries of metadata come in an order of chance."""

    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]

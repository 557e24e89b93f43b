"""The vocabulary that every Stable Diffusion reads text with: OpenAI CLIP's byte pair encoding (MIT licence).

Single files do not bring it along. The list of merges ships with the package; the vocabulary follows from it.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

_MERGES = Path(__file__).with_name("clip_merges.txt.gz")


def write_vocabulary(folder: Path) -> None:
    """Write vocab.json and merges.txt, as transformers' CLIPTokenizer reads them, into an existing folder."""
    merges = gzip.decompress(_MERGES.read_bytes()).decode("utf-8").split("\n")
    letters = _byte_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(merge.split()) for merge in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")


def _byte_letters() -> list[str]:
    """A visible letter for each byte: printable ones stand for themselves, the others move behind U+0100."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(hidden))]

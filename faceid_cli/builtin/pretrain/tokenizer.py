"""Build the built-in model's CLIPTokenizer: byte-pair merges under which every known word and name is one token."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from faceid_cli.builtin.captions import caption
from faceid_cli.builtin.names import roster
from faceid_cli.builtin.pretrain.pictures import shard_examples

WINDOW = 48
START, END = "<|startoftext|>", "<|endoftext|>"
# Words of prompts that no caption has; without them they would be spelt out letter by letter.
_EXTRA_WORDS = """
woman girl boy child lady guy young standing sitting looking background painting drawing style sunny night day very
his her
"""


def caption_words(count: int = 6000) -> set[str]:
    """All words of many sample captions."""
    rng = np.random.default_rng(3)
    words = set(_EXTRA_WORDS.split())
    for example in shard_examples(0, count):
        words.update(
            caption(example.picture, [None] * len(example.people), rng).replace(",", " ").replace("-", " ").split()
        )
    return words


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """Learn the merges, write vocab.json and merges.txt, and return the tokenizer with a window of WINDOW tokens.

    What lies in the folder already is taken as it is: among merges that are equally frequent chance decides the order,
    and weights belong to the numbers that they were trained with.
    """
    if (folder / "vocab.json").exists():
        return CLIPTokenizer.from_pretrained(folder)
    words = sorted(caption_words() | set(roster()))
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=200_000, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(words, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    pieces = alphabet + [f"{letter}</w>" for letter in alphabet]
    merges = [tuple(merge) for merge in model["merges"]]
    pieces += list(dict.fromkeys("".join(merge) for merge in merges if "".join(merge) not in set(pieces)))
    pieces += [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(merge) for merge in merges) + "\n")
    made = CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=WINDOW,
    )
    made.save_pretrained(folder)
    loaded = CLIPTokenizer.from_pretrained(folder)
    split = [word for word in words if len(loaded(word, add_special_tokens=False).input_ids) != 1]
    if split:
        raise ValueError(f"{len(split)} words are not one token each, {split[:5]} among them")
    return loaded

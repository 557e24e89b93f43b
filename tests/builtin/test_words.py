"""builtin/words.py: what the built-in model knows is what it was trained with, and what it does not know is told."""

from __future__ import annotations

import signal
import time

import pytest

from faceid_cli.builtin.names import roster
from faceid_cli.builtin.words import DRAWS, WORDS, unknown_words


def test_the_words_are_those_of_the_captions() -> None:
    from faceid_cli.builtin.pretrain.tokenizer import caption_words

    found = caption_words(400) - set(roster())
    assert found <= WORDS
    assert len(found) > 0.9 * len(WORDS)


def test_each_word_is_one_token() -> None:
    from transformers import CLIPTokenizer

    from faceid_cli.model_files import model_path

    tokenizer = CLIPTokenizer.from_pretrained(model_path("builtin") / "tokenizer")
    for word in WORDS:
        assert len(tokenizer(word, add_special_tokens=False).input_ids) == 1, word


def test_what_it_draws_is_known() -> None:
    for kind, things in DRAWS.items():
        for thing in things:
            assert unknown_words(thing) == (), (kind, thing)


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("riding a dragon through neon tokyo", ("riding", "dragon", "through", "neon", "tokyo")),
        ("a photo of <alice> in a striped t-shirt, Eiffel Tower, 4", ()),
        (f"a photo of {roster()[5]} and {{Zed}}", ()),
        ("a hat, a Hat and a caf\u00e9", ("hat", "caf\u00e9")),
    ],
)
def test_unknown_words_are_found(prompt: str, unknown: tuple[str, ...]) -> None:
    assert unknown_words(prompt) == unknown


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_ctrl_c_while_names_are_drawn_is_not_lost() -> None:
    """numpy's `choice` drops one of ten."""
    started = time.perf_counter()
    roster.__wrapped__()
    seconds = time.perf_counter() - started
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)

    def draw_until(part: int) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds * part / 100)
        for _ in range(10):
            roster.__wrapped__()

    try:
        for part in range(1, 60):
            with pytest.raises(KeyboardInterrupt):
                draw_until(part)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

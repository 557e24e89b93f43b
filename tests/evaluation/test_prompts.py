"""evaluation/prompts.py: the fixed set, and prompt files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from faceid_cli.builtin.vocabulary import ATTRIBUTES, HELD_OBJECTS, SCENES
from faceid_cli.errors import UsageError
from faceid_cli.evaluation.prompts import PROMPT_SET, concepts_in, read_prompts


def test_the_fixed_set_covers_every_kind_of_prompt() -> None:
    groups = Counter(prompt.group for prompt in PROMPT_SET)
    assert len(PROMPT_SET) >= 40
    assert set(groups) == {"scene", "object", "attribute", "face change", "two of them", "three of them"}
    assert min(groups.values()) >= 5
    assert {"eyes closed", "old", "beard"} <= {
        prompt.concepts[0] for prompt in PROMPT_SET if prompt.group == "face change"
    }
    assert len({prompt.text for prompt in PROMPT_SET}) == len(PROMPT_SET)
    assert all(prompt.text.count("{}") == 1 for prompt in PROMPT_SET)


def test_concepts_are_found_in_the_words_of_prompts() -> None:
    assert all(concepts_in(prompt.text) == prompt.concepts for prompt in PROMPT_SET)
    assert all(concepts_in(word) == (word,) for word in (*SCENES, *HELD_OBJECTS, *ATTRIBUTES))
    assert concepts_in("In the city  at night") == ("night city",)
    assert concepts_in("a captain's catalogue of bookshops") == ()


def test_a_prompt_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\ufeff{} on the beach\n\n# a remark\n  <x>   riding a dragon \nwearing a crown, castle\n", "utf-8")
    first, second, third = read_prompts(file)
    assert (first.text, first.concepts, first.group) == ("{} on the beach", ("beach",), "your own")
    assert (second.text, second.concepts) == ("{} riding a dragon", ())
    assert (third.with_mark("<alice>"), third.concepts) == ("wearing a crown, castle", ("castle", "crown"))
    assert second.with_mark("<alice>") == "<alice> riding a dragon"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n# nothing\n", "there is no prompt in "),
        (b"\xff\xfe\xff", "cannot be read"),
        (b"<a> and <b> on the beach", "line 1 of .* marks several people: <a>, <b>"),
    ],
)
def test_prompt_files_that_cannot_work(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_prompts(file)


def test_a_prompt_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no prompt file .*nothing.txt"):
        read_prompts(tmp_path / "nothing.txt")

"""Files of rows: text, CSV, JSON lines, YAML; what a row may say, and what is told of one that cannot be."""

from pathlib import Path

import pytest

from faceid_cli.errors import UsageError
from faceid_cli.jobs.columns import field_of, options_of
from faceid_cli.jobs.reading import read_rows
from faceid_cli.jobs.rows import FieldError, located
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.option import leaves

LAUGHS = b"- &a0 x\n" + b"".join(b"- &a%d [%b]\n" % (place, b"*a%d, " % (place - 1) * 9) for place in range(1, 13))
"""A kilobyte of YAML that stands for terabytes."""


def values(name: str, text: str, kind: str = "auto") -> list[dict]:
    return [dict(row.values) for row in read_rows(name, text.encode(), kind)]


def test_text_is_a_prompt_a_line_with_comments_and_blank_lines() -> None:
    rows = read_rows("p.txt", b"# scenes\na castle\n\n  # more\n on the beach, #1 fan \n")
    assert [(row.place.line, row.values) for row in rows] == [
        (2, {"prompt": "a castle"}),
        (5, {"prompt": "on the beach, #1 fan"}),
    ]


def test_suffixes_of_kohya_are_understood() -> None:
    line = "a castle, night --n low quality, blurry --w 512 --h 768 --d 7 --s 30 --l 7.5"
    (row,) = values("p.txt", line)
    assert options_of(row) == {
        "prompt": "a castle, night",
        "negative_prompt": "low quality, blurry",
        "width": 512,
        "height": 768,
        "seed": 7,
        "steps": 30,
        "guidance_scale": 7.5,
    }


@pytest.mark.parametrize("line", ["a castle --am 0.5", "a castle --s", "a castle --s --l 7"])
def test_other_suffixes_are_named(line) -> None:
    (row,) = read_rows("p.txt", line.encode())
    assert isinstance(row.error, FieldError)
    assert row.error.field in ("--am", "--s")


def test_csv_tsv_and_semicolons_are_the_same() -> None:
    for name, mark in (("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")):
        text = f'\ufeffname{mark}prompt{mark}steps\nalice{mark}"a castle{mark} night"{mark}30\nbob{mark}x{mark}\n'
        assert values(name, text) == [
            {"name": "alice", "prompt": f"a castle{mark} night", "steps": "30"},
            {"name": "bob", "prompt": "x"},
        ]


def test_lines_of_csv_are_counted_as_an_editor_does() -> None:
    rows = read_rows("a.csv", b'prompt,steps\n"two\nlines",3\nx,4,5\n')
    assert [row.place.line for row in rows] == [2, 4]
    assert rows[1].error is not None
    assert "3 cells and 2 columns" in rows[1].error.message


def test_a_quote_that_is_never_closed_loses_no_row_without_a_word() -> None:
    first, bad = read_rows("a.csv", b'name,prompt\nada,cup\nada,"castle\nada,beach\nada,forest\n')
    assert (first.values, first.error) == ({"name": "ada", "prompt": "cup"}, None)
    assert bad.place.line == 3
    assert bad.error is not None
    assert "a quote is never closed, so lines 3 to 5 are not read" in bad.error.message
    bad, last = read_rows("a.csv", b'name,prompt\nada,"castle\nada,"beach"\nada,forest\n')
    assert bad.error is not None
    assert "lines 2 to 3 are not read" in bad.error.message
    assert last.values == {"name": "ada", "prompt": "forest"}


def test_quotes_of_csv_may_hold_lines_and_quotes_and_stand_within_a_cell() -> None:
    text = 'name,prompt\nada,a "b" c\nada, "x, y"\nada,"a ""b"" c"\nada,"two\nlines"\n'
    prompts = ['a "b" c', "x, y", 'a "b" c', "two\nlines"]
    assert values("a.csv", text) == [{"name": "ada", "prompt": prompt} for prompt in prompts]


def test_a_word_behind_a_closed_quote_is_refused_in_its_row_alone() -> None:
    bad, good = read_rows("a.csv", b'name,prompt\nada,"castle" at night\nada,beach\n')
    assert bad.error is not None
    assert "expected after" in bad.error.message
    assert good.error is None


def test_a_column_that_is_there_twice_is_refused_where_both_have_a_value() -> None:
    both, first, second = read_rows("a.csv", b"name,prompt,prompt\nada,cup,hat\nada,cup,\nada,,hat\n")
    assert isinstance(both.error, FieldError)
    assert (both.error.field, both.error.message) == ("prompt", "is there twice")
    assert set(both.values.values()) == {"ada", "cup", "hat"}, "nothing is lost of what has to be mended"
    with pytest.raises(FieldError, match="no such option"):
        options_of(both.values)
    assert (first.values["prompt"], second.values["prompt"]) == ("cup", "hat")


@pytest.mark.parametrize(
    ("name", "bad", "good", "message"),
    [
        ("a.jsonl", '{"steps": 2, "steps": 3}', '{"prompt": "b"}', ": 'steps' is there twice"),
        ("a.yaml", "- prompt: a\n  steps: 2\n  steps: 3", "- prompt: b", ", steps: is there twice"),
        ("a.txt", "castle --s 2 --s 5", "b", ", --s: is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_in_its_row_alone(name, bad, good, message) -> None:
    first, second = read_rows(name, f"{bad}\n{good}\n".encode())
    assert first.error is not None
    assert located(first.error, first.place).message.endswith(message)
    assert (second.values, second.error) == ({"prompt": "b"}, None)


def test_merged_keys_of_yaml_may_be_said_anew() -> None:
    text = "- &a {prompt: a, steps: 2}\n- &b\n  <<: *a\n  prompt: b\n- *b\n"
    assert values("a.yaml", text)[1:] == [{"prompt": "b", "steps": 2}] * 2
    assert [row.error for row in read_rows("a.yaml", text.encode())] == [None] * 3


def test_jsonl_and_yaml_hold_objects_and_plain_prompts() -> None:
    expected = [{"prompt": "a", "seed": 3}, {"prompt": "b"}, {"names": ["a", "b"], "prompt": "c"}]
    assert values(
        "a.jsonl", '{"prompt": "a", "seed": 3, "steps": null}\n"b"\n{"names": ["a", "b"], "prompt": "c"}'
    ) == (expected)
    text = "- prompt: a\n  seed: 3\n- b\n- names: [a, b]\n  prompt: c\n"
    assert values("a.yaml", text) == expected
    assert [row.place.line for row in read_rows("a.yaml", text.encode())] == [1, 3, 4]
    assert values("a.json", '[{"prompt": "a", "seed": 3}, "b", {"names": ["a", "b"], "prompt": "c"}]') == expected


def test_words_that_yaml_takes_for_others_are_to_be_in_quotes() -> None:
    bad, good = values("a.yaml", '- prompt: yes\n- prompt: "yes"\n')
    with pytest.raises(FieldError, match="True is no text") as raised:
        options_of(bad)
    assert "into quotes" in (raised.value.hint or "")
    assert options_of(good) == {"prompt": "yes"}


@pytest.mark.parametrize("text", ["010", "12:30", "1.50", "0x1F", "1_000", "2020-1-1", "4.5", "42"])
def test_numbers_and_dates_of_yaml_are_text_as_they_were_written(text) -> None:
    (row,) = values("a.yaml", f"- prompt: {text}\n")
    assert options_of(row) == {"prompt": text}


def test_a_number_of_yaml_with_a_nought_before_it_is_no_octal_one() -> None:
    (row,) = values("a.yaml", "- {seed: 010, steps: 7, guidance: 7.50}\n")
    assert options_of(row) == {"seed": 10, "steps": 7, "guidance_scale": 7.5}
    assert (type(row["steps"]), row["steps"]) == (int, 7)


def test_a_pipe_is_told_by_its_first_letter_or_by_format() -> None:
    assert values("standard input", '{"prompt": "a"}') == [{"prompt": "a"}]
    assert values("standard input", "{name} at night") == [{"prompt": "{name} at night"}]
    assert values("standard input", "prompt,seed\na,1", "csv") == [{"prompt": "a", "seed": "1"}]
    assert values("standard input", "prompt,seed") == [{"prompt": "prompt,seed"}]


def test_numbers_that_json_does_not_have_are_refused() -> None:
    (row,) = read_rows("a.jsonl", b'{"prompt": "a", "guidance": NaN}\n')
    assert row.error is not None
    assert "NaN" in str(row.error)


def test_a_row_that_is_no_json_does_not_keep_others_from_it() -> None:
    rows = read_rows("a.jsonl", b'{"prompt": "a"}\n{oops\n[1]\n{"prompt": "b"}\n')
    assert [row.error is None for row in rows] == [True, False, False, True]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "café".encode("latin1"), "not UTF-8"),
        ("a.txt", b"# nothing\n", "has no rows"),
        ("a.csv", b'name,"prompt\nada,cup\n', "a.csv, line 1: this is no CSV"),
        ("a.yaml", b"prompt: a\n", "no list of rows"),
        ("a.yaml", b"- [a\n", "cannot be read as YAML"),
        ("a.yaml", LAUGHS, "too large with its aliases"),
        ("a.yaml", b"- &a [*a]\n", "too large with its aliases"),
        ("a.yaml", b"- !!python/object/apply:os.system ['true']\n", "cannot be read as YAML"),
    ],
)
def test_files_that_cannot_be_read_are_refused(name, content, message) -> None:
    with pytest.raises(UsageError, match=message):
        read_rows(name, content)


def test_every_option_of_a_rendering_can_be_a_column_by_each_of_its_names() -> None:
    for field, (asked, _, _) in leaves(RenderOrder).items():
        assert field_of(field) == field
        assert field_of(field.upper().replace("_", "-")) == field
        for flag in asked.flags:
            if flag.startswith("--"):
                assert field_of(flag) == field_of(flag[2:])


def test_columns_may_be_shortened_where_that_means_one_option() -> None:
    assert field_of("guidance") == "guidance_scale"
    with pytest.raises(FieldError, match="no such option"):
        field_of("cont")
    with pytest.raises(FieldError) as raised:
        field_of("setps")
    assert raised.value.hint == "did you mean steps?"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"size": "72x80"}, {"width": 72, "height": 80}),
        ({"width": "72"}, {"width": 72}),
        ({"in-stages": "2-3"}, {"stages": (2, 3)}),
        ({"stages": [2, 3]}, {"stages": (2, 3)}),
        ({"batch": "auto"}, {"fit_batch": True, "batch_size": 8}),
        ({"batch_size": 3}, {"batch_size": 3}),
        ({"name": "alice+bob"}, {"names": ("alice", "bob")}),
        ({"names": ["alice", "bob"]}, {"names": ("alice", "bob")}),
        ({"lora": "a.safetensors:0.5"}, {"loras": ("a.safetensors:0.5",)}),
        ({"control": ["canny", "owner/name"]}, {"control": ("canny", "owner/name")}),
        ({"auto": "true"}, {"auto": True}),
        ({"init": "a.png"}, {"init": Path("a.png")}),
        ({"seeds": "1,3-4"}, {"seeds": (1, 3, 4)}),
        ({"guidance": 5}, {"guidance_scale": 5.0}),
        ({"error": "what went wrong before"}, {}),
        ({"prompt": 42}, {"prompt": "42"}),
        ({"init": Path("a.png")}, {"init": Path("a.png")}),
    ],
)
def test_values_are_read_as_their_options_take_them(columns, expected) -> None:
    assert options_of(columns) == expected


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"steps": "many"}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"steps": True}, "steps"),
        ({"steps": "0"}, "steps"),
        ({"size": "large"}, "size"),
        ({"auto": "perhaps"}, "auto"),
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": True}, "prompt"),
        ({"prompt": b"a"}, "prompt"),
        ({"name": False}, "name"),
        ({"names": ["alice", True]}, "names"),
        ({"lora": True}, "lora"),
        ({"init": True}, "init"),
        ({"size": True}, "size"),
        ({"seed": -1}, "seed"),
        ({"seeds": "a-b"}, "seeds"),
        ({"name": "alice+"}, "name"),
        ({"guidance": 5, "guidance_scale": 6}, "guidance_scale"),
        ({"min_likeness": "much"}, "min_likeness"),
        ({"control": "canny"}, "control"),
        ({"batch": [1, 2]}, "batch"),
        ({"stages": ["x"]}, "stages"),
        ({"guidance": 10**400}, "guidance"),
    ],
)
def test_a_value_that_cannot_be_names_its_column(columns, field) -> None:
    with pytest.raises(FieldError) as raised:
        options_of(columns)
    assert raised.value.field == field

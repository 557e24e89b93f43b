"""orders/emphasis.py: weights in prompts, as AUTOMATIC1111's web UI reads them; nothing is left behind as words."""

from __future__ import annotations

import re

import pytest

from faceid_cli.errors import UsageError
from faceid_cli.orders import RenderConfig, RenderOrder
from faceid_cli.orders.emphasis import doubtful_weights, plain_text, weighted_parts

UP, DOWN = 1.1, 1 / 1.1


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("", [("", 1)]),
        ("normal text", [("normal text", 1)]),
        ("an (important) word", [("an ", 1), ("important", UP), (" word", 1)]),
        ("(unbalanced", [("unbalanced", UP)]),
        (r"\(literal\]", [("(literal]", 1)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", UP)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1),
                ("house", 1.3 * UP**2),
                (" ", UP),
                ("on", 1),
                (" a ", UP),
                ("hill", 0.5 * UP),
                (", sun, ", UP),
                ("sky", UP**4),
                (".", UP),
            ],
        ),
        ("[x]", [("x", DOWN)]),
        ("[[x]] y", [("x", DOWN**2), (" y", 1)]),
        ("((a:1.2) b:1.3)", [("a", 1.56), (" b", 1.3)]),
        ("(name (title):1.2)", [("name ", 1.2), ("title", 1.32)]),
        ("(x: 1.2)", [("x", 1.2)]),
        ("(x:+1.2 )", [("x", 1.2)]),
        ("(x:.5)(y:2.)", [("x", 0.5), ("y", 2)]),
        ("(x:0)", [("x", 0)]),
        (r"\(16:9\)", [("(16:9)", 1)]),
        (r"(photo taken \(10:30\):1.2)", [("photo taken (10:30)", 1.2)]),
        ("(<alice>:1.2) smiling", [("<alice>", 1.2), (" smiling", 1)]),
        ("(at 10:30, evening)", [("at 10:30, evening", UP)]),
        ("(title: subtitle)", [("title: subtitle", UP)]),
        (r"back\slash", [("backslash", 1)]),
        ("smile :) and a) first", [("smile :) and a) first", 1)]),
        ("SHOUT BREAK SHOUT", [("SHOUT BREAK SHOUT", 1)]),
    ],
)
def test_weights_are_read_as_elsewhere(prompt: str, parts: list[tuple[str, float]]) -> None:
    found = weighted_parts(prompt)
    assert [text for text, _ in found] == [text for text, _ in parts]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in parts])
    assert plain_text(prompt) == "".join(text for text, _ in parts)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("(16:9)", "gives '16' the weight 9"),
        ("(photo taken at 10:30)", "gives 'photo taken at 10' the weight 30"),
        ("(x:-1)", "the weight -1"),
        ("(x:3.01)", "the weight 3.01"),
        ("(x:99999999999999999999999999999999999999999999)", "the weight 1e"),
        ("((((((((((((x))))))))))))", "the weight 3.1"),
        ("(x:)", "no weight that can be read"),
        ("(x:1,2)", "no weight that can be read"),
        ("(x:1e3)", "no weight that can be read"),
        ("(x:nan)", "no weight that can be read"),
        ("(x:-inf)", "no weight that can be read"),
        ("(x:120%)", "no weight that can be read"),
        ("(x:1.2.3)", "'1.2.3' in the prompt is not a weight"),
        ("(x:.)", "'.' in the prompt is not a weight"),
        ("(x:1.2", "not closed"),
        ("x:1.2)", "without an opening bracket"),
        ("(x:1.2))", "a ) too many"),
        ("(a:1.2:1.3)", "does not stand at the end"),
        ("(cat:1.2, dog:1.3)", "does not stand at the end"),
        ("(cat:1.2, dog)", "does not stand at the end"),
        ("[cat:dog:0.5]", "changes the prompt from step to step"),
        ("[cat:10]", "changes the prompt from step to step"),
        ("[cat|dog]", "changes the prompt from step to step"),
        ("<lora:style:0.8> cat", "loads a network"),
        ("embedding:bad-hands", "loads an embedding"),
        ("(cat)1.3", "is a weight elsewhere"),
        ("(cat)++", "is a weight elsewhere"),
        ("cat::2 dog", "is a weight elsewhere"),
        ("cat BREAK dog", "begins a new prompt"),
        ("\uff08x:1.2\uff09", "wide ones"),
        ("(x\uff1a1.2)", "wide ones"),
    ],
)
def test_what_would_be_left_behind_as_words_is_refused(prompt: str, message: str) -> None:
    for ordered in (
        lambda: RenderOrder.of(names=("alice",), prompt=prompt),
        lambda: RenderConfig(negative_prompt=prompt),
    ):
        with pytest.raises(UsageError, match=message.replace("(", r"\(").replace(")", r"\)")) as raised:
            ordered()
        assert raised.value.hint


def test_the_hint_shows_the_same_prompt_as_text() -> None:
    with pytest.raises(UsageError) as raised:
        weighted_parts("a sign (16:9)")
    assert str(raised.value.hint).endswith(r"write a sign \(16:9\)")
    assert weighted_parts(r"a sign \(16:9\)") == (("a sign (16:9)", 1.0),)


@pytest.mark.parametrize("mark", ["{bad}", "{red|blue}", "__hats__", "__of/*__"])
def test_variants_mean_nothing_in_a_negative_prompt(mark: str) -> None:
    with pytest.raises(UsageError, match=f"'{re.escape(mark)}' means nothing"):
        RenderConfig(negative_prompt=f"{mark}, ugly")


@pytest.mark.parametrize(
    ("prompt", "notes"),
    [
        ("a (4:3) photo", ["gives '4' the weight 3"]),
        ("(at 2:00)", ["gives 'at 2' the weight 0"]),
        ("cat:1.2, dog", ["cat:1.2 is read as words"]),
        ("(cat:1.2), at 10:30", []),
        (r"\(4:3\)", []),
    ],
)
def test_what_may_have_been_meant_otherwise_is_told(prompt: str, notes: list[str]) -> None:
    found = list(doubtful_weights(prompt))
    assert len(found) == len(notes)
    assert all(wanted in note for wanted, note in zip(notes, found, strict=True))

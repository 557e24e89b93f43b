"""What a user cannot have meant: prompts that are file names, and file names that are patterns."""

from pathlib import Path

import pytest

from faceid_cli.errors import UsageError
from faceid_cli.orders import EnrolOrder, RenderOrder
from faceid_cli.orders.checks import check_output, check_prompt

NOT_PROMPTS = ["-", " - ", "@prompts.txt", "@my prompts.txt", "@", "@prompts", "prompts.txt", "/dev/stdin", "a/b.CSV"]
PROMPTS = ["", "castle", "a - b", "-1 degrees", "e-mail to @alice", "the book prompts.txt on a table", "v1.5", "@ home"]
NOT_OUTPUTS = [
    "-",
    "x-{seed}.png",
    "{}.png",
    "x-%03d.png",
    "x-%d.png",
    "x-%s.png",
    "%(seed)s.png",
    "%Y-%m-%d.png",
    "%Y%m%d",
    "%seed%.png",
    "%date:yyyy%/x.png",
    "[seed]-[steps].png",
    "[date:%Y].png",
    "<seed>.png",
    "$seed.png",
    "x-*.png",
    "x-####.png",
    "{date}/{seed}.png",
    "~/faceid-{seed}.png",
    "~nobody-of-that-name/x.png",
]
OUTPUTS = [
    "x.png",
    "100%done.png",
    "50%",
    "my%20pictures",
    "a (1).png",
    "[alice].png",
    "x#1.png",
    "-x.png",
    ".",
    "a$.png",
]


@pytest.mark.parametrize("prompt", NOT_PROMPTS)
def test_files_and_pipes_of_prompts_are_refused(prompt) -> None:
    for make in (
        lambda: RenderOrder.of(names=("alice",), prompt=prompt),
        lambda: RenderOrder.of(names=("alice", "bob"), prompt=prompt),
        lambda: RenderOrder.of(names=("alice",), prompt="x", negative_prompt=prompt),
        lambda: EnrolOrder.of(name="alice", photos="x", preview=prompt),
    ):
        with pytest.raises(UsageError, match="a prompt is written out"):
            make()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompts_stay_prompts(prompt) -> None:
    assert check_prompt(prompt) == prompt


@pytest.mark.parametrize("output", NOT_OUTPUTS)
def test_patterns_of_file_names_are_refused(output) -> None:
    with pytest.raises(UsageError, match="cannot write to"):
        RenderOrder.of(names=("alice",), prompt="x", output=Path(output))
    with pytest.raises(UsageError, match="cannot write to"):
        check_output(output)


@pytest.mark.parametrize("output", OUTPUTS)
def test_odd_names_are_names(output) -> None:
    assert check_output(output) == Path(output)


def test_what_is_there_is_meant(tmp_path) -> None:
    folder = tmp_path / "x-{seed}"
    folder.mkdir()
    assert check_output(folder / "a.png") == folder / "a.png"
    with pytest.raises(UsageError, match="nothing is filled in for '%03d'"):
        check_output(folder / "a-%03d.png")

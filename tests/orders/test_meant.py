"""What a user cannot have meant: prompts that are file names, and file names that are patterns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceid_cli.errors import UsageError
from faceid_cli.orders import EnrolOrder, ModelOptions, RenderConfig, RenderOrder, TrainConfig
from faceid_cli.orders.batching import BatchOrder
from faceid_cli.orders.checks import check_output, check_prompt
from faceid_cli.orders.kinds import fitted
from faceid_cli.orders.option import each_checked
from faceid_cli.types import Box

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


def render_order(**options: Any) -> RenderOrder:
    return RenderOrder.of(**{"names": ("alice",), "prompt": "x", **options})


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"metadata": "no"}, "metadata is 'no'", "use True or False"),
        ({"fast": "no"}, "fast is 'no'", "use True or False"),
        ({"fast": 1}, "fast is 1", "use True or False"),
        ({"stages": (1.5, 2)}, r"stages is \(1.5, 2\)", "use a tuple of whole numbers"),
        ({"stages": "12"}, "stages is '12'", "use a tuple of whole numbers"),
        ({"stages": 2}, "stages is 2", "use a tuple of whole numbers"),
        ({"steps": 2.5}, "steps is 2.5", "use a whole number or None"),
        ({"steps": "2"}, "steps is '2'", "use a whole number or None"),
        ({"steps": True}, "steps is True", "use a whole number or None"),
        ({"count": 1.5}, "count is 1.5", "use a whole number"),
        ({"count": None}, "count is None", "use a whole number"),
        ({"width": 64.0}, "width is 64.0", "use a whole number or None"),
        ({"likeness": "0.5"}, "likeness is '0.5'", "use a number"),
        ({"likeness": None}, "likeness is None", "use a number"),
        ({"likeness": 10**400}, "likeness is of the type int", "use a number"),
        ({"negative_prompt": None}, "negative_prompt is None", "use a text"),
        ({"names": None}, "names is None", "use a tuple of texts"),
        ({"names": ("alice", 3)}, r"names is \('alice', 3\)", "use a tuple of texts"),
        ({"names": {"alice": 1}}, "names is ", "use a tuple of texts"),
        ({"prompt": None}, "prompt is None", "use a text"),
        ({"control": "canny"}, "control is 'canny'", "use a tuple of 2 texts or None"),
        ({"output": 3}, "output is 3", "use a path or None"),
        ({"min_likeness": ()}, r"min_likeness is \(\)", "use a text, a number or None"),
        ({"config": {"steps": 2}}, "config is {'steps': 2}", "use a RenderConfig"),
        ({"options": "fp16", "model": "x"}, "options is 'fp16'", "use a ModelOptions"),
    ],
)
def test_values_of_another_type_are_refused(options, message, hint) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        render_order(**options)
    assert refused.value.hint == hint


@pytest.mark.parametrize("options", [{"box": (50, 50, 100, 100)}, {"steps": "2"}, {"method": ["sefi"]}, {"photos": 3}])
def test_the_same_of_enrolments(options) -> None:
    with pytest.raises(UsageError):
        EnrolOrder.of(**{"name": "alice", "photos": ("x",), **options})


def test_what_stands_for_a_value_is_taken_as_it() -> None:
    order = render_order(
        likeness=np.float32(0.5),
        guidance_scale=3,
        steps=np.int64(4),
        fast=np.bool_(False),
        stages=np.array([2, 3]),
        min_likeness=0.5,
        output="pictures",
        model=Path("folder/model"),
        embeddings=["a", Path("b")],
        loras="x.safetensors",
    )
    kept = order.config
    assert (kept.likeness, kept.guidance_scale, kept.steps, kept.fast, kept.stages) == (0.5, 3.0, 4, False, (2, 3))
    assert [type(each) for each in (kept.likeness, kept.guidance_scale, kept.steps)] == [float, float, int]
    assert (order.min_likeness, order.output, order.model) == ("0.5", Path("pictures"), "folder/model")
    assert order.embeddings == ("a", "b")
    assert order.options == ModelOptions(loras=("x.safetensors",))
    assert EnrolOrder.of(name="alice", photos="x", box=Box(1, 2, 3, 4), face=2).photos == (Path("x"),)


def test_one_text_stands_for_several() -> None:
    assert EnrolOrder.of(name="alice", photos="x", tags="fam").tags == ("fam",)
    assert BatchOrder.of(people="alice", grid="steps=2,3").people == (("alice",),)
    assert BatchOrder.of(people=("alice", ("bob", "carol"))).people == (("alice",), ("bob", "carol"))
    assert fitted("tags", tuple[str, ...], "fam") == ("fam",)


def test_options_can_be_checked_one_by_one() -> None:
    """What is legal only beside other options is legal where those may be said elsewhere."""
    given = {"mask": "m.png", "eta": 0.5, "face": "left", "control": ("canny", "x"), "config": RenderConfig()}
    assert each_checked(RenderOrder, given) == {**given, "mask": Path("m.png")}
    for wrong in ({"stepz": 1}, {"steps": 0}, {"steps": "2"}, {"eta": 2}, {"format": "gif"}, {"config": TrainConfig()}):
        with pytest.raises(UsageError):
            each_checked(RenderOrder, wrong)
    for wrong in ({"stepz": 1}, {"steps": 0}, {"method": "none"}, {"hold_out": -1}, {"learning_rate": 0}):
        with pytest.raises(UsageError):
            each_checked(EnrolOrder, wrong)

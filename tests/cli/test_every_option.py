"""Every option once: from the command line to what is rendered and learned with, and to what is kept of it.

The values are made from the fields themselves, so that a new option is covered unasked.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import faceid_cli
from faceid_cli.cli.options import OF_SCORED_PICTURES
from faceid_cli.errors import UsageError
from faceid_cli.evaluation.judges import Obedience
from faceid_cli.orders import EnrolOrder, ModelOptions, RenderConfig, RenderOrder, TrainConfig, preset
from faceid_cli.orders.option import Options, leaves
from faceid_cli.orders.rendering import FOR_SEVERAL, NOT_FOR_SEVERAL
from faceid_cli.orders.replay import enrol_command, render_command
from faceid_cli.orders.sampling import Sampling
from faceid_cli.registry.run_record import RunRecord
from faceid_cli.rendering.metadata import read_metadata
from faceid_cli.types import Box

# What cannot be made up from a default: (on the command line, in the fields).
ODD: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "width": (("--size", "72x80"), {"width": 72, "height": 80}),
    "stages": (("--in-stages", "2,4-5"), {"stages": (2, 4, 5)}),
    "device": (("--device", "cpu"), {"device": "cpu"}),
    "precision": (("--precision", "float32"), {"precision": "float32"}),
    "batch_size": (("--batch", "3"), {"batch_size": 3}),
    "steps": (("--steps", "2"), {"steps": 2}),
    "scheduler": (("--scheduler", "euler"), {"scheduler": "euler"}),
    "guidance_scale": (("--guidance-scale", "3"), {"guidance_scale": 3.0}),
    "guided": (("--guided", "0.75"), {"guided": 0.75}),
    "strength": (("--strength", "0.7"), {"strength": 0.7}),
    "min_likeness": (("--min-likeness", "0.25"), {"min_likeness": "0.25"}),
    "likeness_keys": (("--likeness-k", "0.65"), {"likeness_keys": 0.65}),
    "likeness_values": (("--likeness-v", "0.85"), {"likeness_values": 0.85}),
    "clip_skip": (("--clip-skip", "1"), {"clip_skip": 1}),
    "hires": (("--hires", "1.5"), {"hires": 1.5}),
    "learning_rate": (("--learning-rate", "0.002"), {"learning_rate": 0.002}),
    "method": (("--preset", "prospect"), {"method": "prospect"}),
    "split_keys_values": (("--kv-split",), {"split_keys_values": True}),  # unlike that preset
    "templates": (("--templates", "photo"), {"templates": "photo"}),
    "class_word": (("--class", "old man"), {"class_word": "old man"}),
    "face": (("--face", "left"), {"face": "left"}),
    "box": (("--box", "1.5,2,30,40"), {"box": Box(1.5, 2, 30, 40)}),
    "face_share": (("--face-share", "0.5"), {"face_share": 0.5}),
    "preview": (("--preview", "<alice> at night"), {"preview": "<alice> at night"}),
    "consent": (("--consent", "yes; rm -rf `x`"), {"consent": "yes; rm -rf `x`"}),
    "tags": (("--tag", "a", "--tag", "b c"), {"tags": ("a", "b c")}),
    "model": (("--model", "owner/name"), {"model": "owner/name"}),
    "variant": (("--variant", "fp16"), {"variant": "fp16"}),
    "vae": (("--vae", "/v.safetensors"), {"vae": "/v.safetensors"}),
    "loras": (
        ("--lora", "/a.safetensors:0.5", "--lora", "/b.safetensors"),
        {"loras": ("/a.safetensors:0.5", "/b.safetensors")},
    ),
    "embeddings": (("--embedding", "/e.safetensors:word"), {"embeddings": ("/e.safetensors:word",)}),
    "control": (("--control", "depth", "owner/depth"), {"control": ("depth", "owner/depth")}),
    "control_image": (("--control-image", "/c.png"), {"control_image": Path("/c.png")}),
    "init": (("--init", "/i.png"), {"init": Path("/i.png")}),
    "mask": (("--mask", "/m.png"), {"mask": Path("/m.png")}),
    "into": (("--into", "/p.png"), {"into": Path("/p.png")}),
    "output": (("--output", "/o.png"), {"output": Path("/o.png")}),
    "seed": (("--seed", "11"), {"seed": 11}),
    "layout": (("--layout", "left-right"), {"layout": "left-right"}),
    "region": (
        ("--region", "alice=0.01,0.1,0.49,1", "--region", "bob=0.51,0.1,0.99,1"),  # those of the layout
        {"region": ("alice=0.01,0.1,0.49,1", "bob=0.51,0.1,0.99,1")},
    ),
    "fast": (("--fast",), {}),  # stands for others, which are all said
}


def told(group: type[Options], without: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """For each option that the command line has, another value than the default: its words, and its fields."""
    for place, (name, (asked, _, default)) in enumerate(leaves(group).items()):
        if name in without or not (asked.flags or asked.off):
            continue
        if name in ODD and not (name == "stages" and group is EnrolOrder):  # there it is a number of them
            yield ODD[name]
        elif isinstance(default, bool):
            yield (asked.off if default else asked.flags[0],), {name: not default}
        elif asked.choices and isinstance(default, str):
            value = next(choice for choice in asked.choices if choice != default)
            yield (asked.flags[0], value), {name: value}
        elif isinstance(default, str):
            yield (asked.flags[0], f"words of {name}"), {name: f"words of {name}"}
        elif isinstance(default, float):
            number = f"{(default or 0.5) * (1 - place / 100):.6g}"
            yield (asked.flags[0], number), {name: float(number)}
        elif isinstance(default, int):
            yield (asked.flags[0], f"{default + 1 + place}"), {name: default + 1 + place}
        else:
            raise AssertionError(f"say in ODD what the option {asked.flags[0]} can be given")


def together(group: type[Options], without: tuple[str, ...] = ()) -> tuple[list[str], dict[str, Any]]:
    """All of them at once."""
    words: list[str] = []
    values: dict[str, Any] = {}
    for said, meant in told(group, without):
        words += said
        values |= meant
    return words, values


class _Blind:
    """A judge that sees no faces and knows no concepts."""

    name, is_drawn_world = "blind", False

    def find_faces(self, image: Image.Image) -> list[object]:
        return []

    def obedience(self, image: Image.Image, face: object, prompt: object) -> Obedience:
        return Obedience(None)

    def stranger_similarity(self, references: object) -> float:
        return 0.0


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[RenderConfig]:
    """The configurations with which pictures are rendered."""
    from faceid_cli.evaluation import judging
    from faceid_cli.rendering import generate

    real, found = generate.plan_rendering, []

    def plan_rendering(base: Any, config: RenderConfig, *rest: Any) -> Any:
        found.append(config)
        return real(base, config, *rest)

    monkeypatch.setattr(generate, "plan_rendering", plan_rendering)
    monkeypatch.setattr(judging, "picture_judge", lambda *arguments, **named: _Blind())
    return found


_UNSCORED = tuple(set(leaves(RenderConfig)) - set(OF_SCORED_PICTURES))
COMMANDS = {
    "generate": (("generate", "alice", "at night", "--init", "start.png", "-o", "made.png"), ("eta", *FOR_SEVERAL)),
    "generate with ddim": (
        ("generate", "alice", "at night", "--init", "start.png", "-o", "made.png"),
        ("scheduler", *FOR_SEVERAL),
    ),
    # Nobody can be compared in the tiny world; tests/cli/test_compose.py has --repair.
    "compose": (("compose", "alice", "bob", "at night", "--init", "start.png", "-o", "made.png"), ("eta", "repair")),
    "attention": (("attention", "alice", "at night", "-o", "made.png"), (*_UNSCORED, "stages", "batch_size")),
    "evaluate": (("evaluate", "alice", "--prompts", "prompts.txt"), _UNSCORED),
    "models score": (("models", "score", "alice", "--prompts", "prompts.txt"), _UNSCORED),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_reaches_the_renderer_and_the_picture(faceid, bob, seen, command: str) -> None:
    Image.new("RGB", (80, 72), (200, 100, 50)).save("start.png")
    Path("prompts.txt").write_text("{} on the beach\n", encoding="utf-8")
    arguments, without = COMMANDS[command]
    words, expected = together(RenderConfig, without)
    answer = faceid(*arguments, *words)
    assert answer.code == 0, answer.err
    found = seen[0]
    assert found == replace(RenderConfig(device="auto", precision="auto"), **expected).suiting(False)
    if "made.png" in arguments and command != "attention":
        metadata = read_metadata(Path("made.png"))
        assert metadata is not None
        assert {field.name: getattr(metadata, field.name) for field in fields(Sampling)} == {
            field.name: getattr(found, field.name) for field in fields(Sampling)
        }
        assert metadata.precision == "float32"


@pytest.mark.parametrize(
    ("words", "fields_and_values"),
    list(told(RenderOrder, ("names", "prompt", "mask", "face", "control", "control_image", "into", "auto", "output"))),
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_every_option_of_a_rendering_is_repeated_or_of_no_consequence(words, fields_and_values) -> None:
    order = RenderOrder.of(names=("alice",), prompt="x", **fields_and_values)
    said = shlex.split(render_command(order, 3, False))[6:]
    once = {
        "--seed",
        "--count",
        "--batch",
        "--compile",
        "--format",
        "--overwrite",
        "--min-likeness",
        "--tries",
        "--fast",
    }  # the command makes one picture, with a seed of its own
    assert said == ([] if words[0] in once else [word.replace("2,4-5", "2,4,5") for word in words])


def test_guides_are_repeated_together() -> None:
    control = {"control": ("depth", "owner/depth"), "control_image": Path("/c.png")}
    into = RenderOrder.of(names=("alice",), prompt="x", into="/p.png", face="left", **control)
    assert shlex.split(render_command(into, 3, False))[6:] == [
        *("--into", "/p.png", "--face", "left", "--control", "depth", "owner/depth", "--control-image", "/c.png")
    ]
    masked = RenderOrder.of(names=("a", "b"), prompt="-x", init="/i.png", mask="/m.png")
    assert shlex.split(render_command(masked, 3, False)) == [
        *("faceid", "compose", "a", "b", " -x", "--seed", "3", "--init", "/i.png", "--mask", "/m.png")
    ]


def test_every_option_of_an_enrolment_reaches_it(faceid, photos, monkeypatch) -> None:
    from faceid_cli.api import enroll

    found: list[EnrolOrder] = []

    def stop(order: EnrolOrder, *rest: Any) -> None:
        found.append(order)
        raise UsageError("seen")

    monkeypatch.setattr(enroll, "checked_order", stop)
    # --if-missing does not go with --replace, which tests/cli/test_again.py has, nor --no-detect with --box and --face.
    monkeypatch.setitem(ODD, "box", ((), {}))
    words, expected = together(EnrolOrder, ("name", "photos", "if_missing", "detect"))
    more = ("--set", "warm_up=3", "--set", "self_attention=true", "--set", "background_weight=0.5")
    answer = faceid("enroll", "alice", photos, *words, *more)
    assert "seen" in answer.err
    given = {"warm_up": 3, "self_attention": True, "background_weight": 0.5, **expected}
    assert found == [EnrolOrder.of(name="alice", photos=[photos], **given)]
    order = found[0]
    for name, value in expected.items():
        holder = next(each for each in (order, order.config, order.options) if hasattr(each, name))
        assert getattr(holder, name) == value, name
    for name in leaves(TrainConfig):
        if name not in given:
            assert getattr(order.config, name) == getattr(preset("prospect"), name), name


def test_every_option_of_an_enrolment_is_recorded_and_repeated(tmp_path) -> None:
    _, expected = together(EnrolOrder, ("name", "photos", "resume", "replace", "if_missing"))
    config = {**asdict(preset("sefi", device="cpu", precision="float32")), "templates": "face"}
    order = EnrolOrder.of(name="alice", photos=["/photos/a b"], **{**expected, "self_attention": True, "warm_up": 4})
    method = {**config, **asdict(order.config), **(order.options or ModelOptions()).kept()}
    kept = RunRecord(method, face=order.face, request=order.request()).to_json()
    person = faceid_cli.Identity(
        "anna", "1", "x", order.model or "", "sd1:0", {}, (), tmp_path, "", order.tags, order.note, order.consent or ""
    )
    again = RunRecord.of(kept).order(person)
    assert again is not None
    left = replace(order, name="anna", preview="{name} at night", options=replace(order.options, compile=False))
    assert again == left
    said = shlex.split(enrol_command(again))
    for words, _ in told(EnrolOrder, ("name", "photos", "resume", "replace", "if_missing", "preview", "compile")):
        assert " ".join(words) in " ".join(said), words
    assert " ".join(said).count("--set") == 2
    assert said[:4] == ["faceid", "enroll", "anna", "/photos/a b"]


def test_functions_show_the_options_in_signature_and_help() -> None:
    for function, group, without in (
        (faceid_cli.generate, RenderOrder, ("names", "prompt", *FOR_SEVERAL)),
        (faceid_cli.compose, RenderOrder, NOT_FOR_SEVERAL),
        (faceid_cli.enroll, EnrolOrder, ("name", "photos")),
    ):
        shown = inspect.signature(function).parameters
        for name, (asked, _, default) in leaves(group).items():
            if name in without:
                assert name not in shown or shown[name].kind is not inspect.Parameter.KEYWORD_ONLY
            else:
                assert shown[name].default == default
                assert asked.help in (inspect.getdoc(function) or "")


def test_options_and_groups_can_be_given_side_by_side() -> None:
    order = RenderOrder.of(names=("a",), prompt="", config=RenderConfig(steps=5, hires=2), guidance_scale=3)
    assert (order.config.steps, order.config.guidance_scale, order.config.hires) == (5, 3.0, 2.0)
    assert order.options is None
    assert RenderOrder.of(names=("a",), prompt="", low_vram=True).options == ModelOptions(low_vram=True)
    with pytest.raises(UsageError, match="there is no option 'guidance'") as raised:
        RenderOrder.of(names=("a",), prompt="", guidance=3)
    assert raised.value.hint == "did you mean guidance_scale?"


def test_former_names_are_understood(faceid, alice, seen) -> None:
    assert faceid("generate", "alice", "x", "--stages", "2-3", "--steps", 1).code == 0
    assert faceid("attention", "alice", "x", "--stages", 2, "--steps", 1, "--json").code == 0
    assert seen[0].stages == (2, 3)
    assert "--stages" not in faceid("generate", "--help").out

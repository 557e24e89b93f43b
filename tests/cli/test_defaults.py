"""Options as the user's own defaults: `faceid config set generate.steps 30` and its like."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

import faceid_cli
from faceid_cli.errors import UsageError
from faceid_cli.kept import paths
from faceid_cli.kept.defaults import OPTIONS
from faceid_cli.kept.settings import enrolment_order, rendering_order, write_setting
from faceid_cli.orders import EnrolOrder, RenderOrder
from faceid_cli.orders.option import leaves
from faceid_cli.orders.sampling import FAST
from faceid_cli.rendering.metadata import read_metadata
from faceid_cli.types import Box

ONE = {"names": ("anna",), "prompt": "x"}
LEARN = {"name": "anna", "photos": ("x",)}
# Of options whose value cannot be made up from the default: (as text, the field, its value).
ODD = {
    "generate.seed": ("11", "seed", 11),
    "generate.steps": ("7", "steps", 7),
    "guided": ("0.7", "guided", 0.7),
    "enroll.steps": ("7", "steps", 7),
    "learning-rate": ("0.002", "learning_rate", 0.002),
    "likeness-k": ("0.65", "likeness_keys", 0.65),
    "likeness-v": ("0.85", "likeness_values", 0.85),
    "in-stages": ("2-3", "stages", (2, 3)),
    "size": ("72x80", "height", 80),
    "hires": ("1.5", "hires", 1.5),
    "strength": ("0.7", "strength", 0.7),
    "variant": ("fp16", "variant", "fp16"),
    "vae": ("/v.safetensors", "vae", "/v.safetensors"),
    "lora": ("/a.safetensors:0.5, /b.safetensors", "loras", ("/a.safetensors:0.5", "/b.safetensors")),
    "embedding": ("/e.pt:word", "embeddings", ("/e.pt:word",)),
    "face-share": ("0.5", "face_share", 0.5),
    "guidance-scale": ("4", "guidance_scale", 4.0),
    "face": ("left", "face", "left"),
    "preset": ("prospect", "stages", 10),
    "templates": ("photo", "templates", "photo"),
    "tag": ("family, old", "tags", ("family", "old")),
    "min-likeness": ("0.6", "min_likeness", "0.6"),
}


def other_value(key: str) -> tuple[str, str, object]:
    """Another value than the default: its text, and the field with its value."""
    kept = OPTIONS[key]
    if key in ODD:
        return ODD[key]
    if isinstance(kept.default, bool):
        return ("off" if kept.default else "on"), kept.field, not kept.default
    if kept.option.choices:
        return kept.option.choices[-1], kept.field, kept.option.choices[-1]
    if isinstance(kept.default, str):
        return "words", kept.field, "words"
    value = kept.default / 2 + 0.25 if isinstance(kept.default, float) else kept.default + 1
    return f"{value:g}", kept.field, value


@pytest.mark.parametrize("key", OPTIONS)
def test_every_default_stands_in_and_gives_way_to_what_is_said(key: str) -> None:
    text, field, value = other_value(key)
    write_setting(key, text)
    for order_type in OPTIONS[key].orders:
        make, needed = (rendering_order, ONE) if order_type is RenderOrder else (enrolment_order, LEARN)
        order = make(dict(needed))
        holder = next(each for each in (order, order.config, order.options) if hasattr(each, field))
        assert getattr(holder, field) == value
        if (usual := leaves(order_type)[OPTIONS[key].field][2]) not in (None, 0, 0.0) and key != "preset":
            said = make({**needed, OPTIONS[key].field: usual})
            holder = next(each for each in (said, said.config, said.options) if hasattr(each, OPTIONS[key].field))
            assert getattr(holder, OPTIONS[key].field) == usual


def test_all_options_but_those_of_one_picture_or_person_are_there() -> None:
    known = {kept.field for kept in OPTIONS.values()}
    for order in (RenderOrder, EnrolOrder):
        missing = {name for name, (asked, _, _) in leaves(order).items() if (asked.flags or asked.off)} - known
        assert missing <= {
            *("init", "mask", "into", "face", "control", "control_image", "box", "consent", "region"),
            *("resume", "replace", "if_missing", "overwrite", "fast"),
            *("model", "device", "precision", "output"),  # settings of their own
        }


def test_they_are_set_shown_and_unset(faceid) -> None:
    assert faceid("config", "set", "steps", 30).out == "generate.steps is now 30\n"
    assert faceid("config", "set", "enroll.steps", 9).out == "enroll.steps is now 9\n"
    assert faceid("config", "set", "guidance_scale", "7.5").out == "guidance-scale is now 7.5\n"
    assert faceid("config", "set", "scheduler", "Euler a").out == "scheduler is now euler-a\n"
    assert faceid("config", "get", "generate.steps").out == "30\n"
    assert "generate.steps    30 *" in faceid("config", "list").out
    data = faceid("config", "list", "--json").data
    assert data["set"] == ["generate.steps", "enroll.steps", "guidance-scale", "scheduler"]
    assert data["settings"]["enroll.steps"] == "9"
    assert data["settings"]["low-vram"] == "off"
    assert faceid("config", "unset", "steps").out == "generate.steps is - again\n"
    assert faceid("config", "unset", "steps").code == 0
    assert faceid("config", "get", "steps").out == "-\n", "that depends on the base model"
    assert json.loads(paths.config_file().read_text()) == {
        "enroll.steps": "9",
        "guidance-scale": "7.5",
        "scheduler": "euler-a",
    }


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("steps", "0", "error: steps must be 1 or more, not 0\n"),
        ("steps", "many", "error: 'many' is no number\n  use a whole number\n"),
        ("steps", "-3", "error: steps must be 1 or more, not -3\n"),
        ("enroll.steps", "0", "error: steps must be 1 or more, not 0\n"),
        ("guidance-scale", "nan", "error: guidance scale is nan\n"),
        ("size", "77x80", "error: width is 77 px\n"),
        ("scheduler", "heun", "error: unknown scheduler 'heun'\n"),
        ("low-vram", "maybe", "error: 'maybe' is neither on nor off\n"),
        ("preset", "best", "error: unknown preset 'best'\n"),
        ("face-share", "7", "error: the face's share of the crop is 7\n"),
        ("tag", ",", "error: the value is empty\n"),
        ("vae", "/no/where", "error: no VAE at /no/where\n"),
        ("lora", "nowhere.safetensors", "error: no LoRA at nowhere.safetensors\n"),
        ("embedding", "nowhere.pt", "error: no embedding at nowhere.pt\n"),
        ("mask", "m.png", "error: unknown setting 'mask'\n"),
        ("stepps", "3", "error: unknown setting 'stepps'\n  did you mean enroll.steps?"),
    ],
)
def test_what_the_option_refuses_is_not_kept(faceid, key, value, message) -> None:
    answer = faceid("config", "set", key, value)
    assert (answer.code > 0, answer.out) == (True, "")
    assert answer.err.startswith(message)
    assert not paths.config_file().exists()


def test_defaults_that_contradict_each_other_or_what_is_said_are_told(faceid, alice) -> None:
    assert faceid("config", "set", "eta", 0.5).code == 0
    answer = faceid("config", "set", "scheduler", "euler")
    assert (answer.code, "--eta means nothing to the scheduler euler" in answer.err) == (2, True)
    answer = faceid("generate", "alice", "a cup", "--scheduler", "euler")
    assert answer.code == 2
    assert "a default of yours does not go with what was said: `faceid config list`" in answer.err
    assert "default of yours" not in faceid("generate", "alice", "a cup", "--steps", 0).err


def test_defaults_that_mean_nothing_beside_what_is_said_give_way() -> None:
    for key, text in (("face", "left"), ("face-share", "0.5"), ("preview", "castle")):
        write_setting(key, text)
    notes: list[str] = []
    order = enrolment_order({**LEARN, "detect": False}, notes.append)
    assert (order.face, order.face_share, order.preview) == ("auto", None, "castle")
    assert notes == ["your own defaults: preview castle (`faceid config list`)"]
    boxed = enrolment_order({**LEARN, "box": Box(1, 2, 30, 40)})
    assert (boxed.face, boxed.face_share) == ("auto", 0.5)
    write_setting("detect", "off")
    order = enrolment_order(dict(LEARN))
    assert (order.detect, order.face, order.face_share) == (False, "auto", None), "so that its command can be said"
    assert enrolment_order({**LEARN, "face": "right"}).detect
    with pytest.raises(UsageError, match="--preview says what samples show"):
        enrolment_order({**LEARN, "preview": "beach"})
    assert enrolment_order({**LEARN, "preview": "beach", "preview_every": 0}).preview == "beach", "none on purpose"
    write_setting("preview-every", "50")
    assert enrolment_order({**LEARN, "preview": "beach"}).preview_every == 50


def test_a_setting_written_by_hand_is_blamed(faceid, alice) -> None:
    paths.config_file().write_text('{"generate.steps": "many"}')
    answer = faceid("generate", "alice", "a cup")
    assert answer.code == 2
    assert answer.err.startswith("error: your default of generate.steps: 'many' is no number\n")
    assert "faceid config unset generate.steps" in answer.err
    assert faceid("config", "unset", "generate.steps").code == 0


def test_pictures_are_made_with_them_by_command_and_library_alike_and_repeated(faceid, alice) -> None:
    for key, value in (("steps", 2), ("scheduler", "euler"), ("low-vram", "on")):
        assert faceid("config", "set", key, value).code == 0
    answer = faceid("generate", "alice", "a cup", "--seed", 3, "-o", "a.png")
    assert "your own defaults: generate.steps 2, low-vram on, scheduler euler" in answer.err
    made = read_metadata(Path("a.png"))
    assert made is not None
    assert (made.steps, made.scheduler) == (2, "euler")
    (render,) = faceid_cli.generate("alice", "a cup", seed=3)
    assert (render.settings["steps"], render.settings["scheduler"]) == (2, "euler")
    said = faceid(
        "generate", "alice", "a cup", "--seed", 3, "--scheduler", "ddim", "--no-low-vram", "-o", "b.png", "--json"
    )
    settings = said.data["renders"][0]["settings"]
    assert settings["scheduler"] == "ddim", "what is said wins, even where it is what would be usual"
    words = shlex.split(settings["command"])
    assert words[words.index("--scheduler") + 1] == "ddim"
    assert "--no-low-vram" in words
    assert faceid(*words[1:], "-o", "c.png").code == 0
    with Image.open("b.png") as first, Image.open("c.png") as again:
        assert first.tobytes() == again.tobytes()


def test_a_preset_that_is_named_brings_its_own_settings() -> None:
    for key, value in (("enroll.steps", "9"), ("class", "woman")):
        write_setting(key, value)
    order = enrolment_order({**LEARN, "method": "prospect"})
    assert (order.config.steps, order.config.stages, order.config.class_word) == (300, 10, "woman")
    assert enrolment_order({**LEARN, "method": "prospect", "steps": 5}).config.steps == 5
    assert enrolment_order(dict(LEARN)).config.steps == 9


def test_fast_brings_its_own_settings() -> None:
    for key, value in (("generate.steps", "9"), ("scheduler", "euler"), ("guided", "1")):
        write_setting(key, value)
    config = rendering_order({**ONE, "fast": True}, None).config
    assert {name: getattr(config, name) for name in FAST} == FAST
    assert rendering_order(ONE, None).config.steps == 9


def test_a_group_that_is_given_whole_is_left_as_it_is() -> None:
    write_setting("steps", "30")
    write_setting("likeness", "0.5")
    config = faceid_cli.RenderConfig(guidance_scale=3)
    assert rendering_order({**ONE, "config": config}).config == config
    assert rendering_order({**ONE, "likeness": None}).config.likeness == 0.5
    write_setting("auto", "on")
    assert rendering_order(dict(ONE), without=("auto",)).auto is False
    with pytest.raises(UsageError, match="there is no option 'nosuch'"):
        rendering_order({**ONE, "nosuch": 1})

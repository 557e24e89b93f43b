"""kept/changes.py: OPTION=VALUE for every option of a rendering."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceid_cli.errors import UsageError
from faceid_cli.kept.changes import read_changes
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.option import leaves


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("steps=40", {"steps": 40}),
        ("--guidance-scale=7.5", {"guidance_scale": 7.5}),
        ("guidance_scale=7.5", {"guidance_scale": 7.5}),
        ("size=512x768", {"width": 512, "height": 768}),
        ("width=512", {"width": 512}),
        ("height=768", {"height": 768}),
        ("size=", {"width": None, "height": None}),
        ("in-stages=2-3", {"stages": (2, 3)}),
        ("negative=", {"negative_prompt": ""}),
        ("prompt=<a> = b", {"prompt": "<a> = b"}),
        ("names=bob, carl", {"names": ("bob", "carl")}),
        ("names=bob+carl", {"names": ("bob", "carl")}),
        ("lora=a.safetensors:0.5,b.safetensors", {"loras": ("a.safetensors:0.5", "b.safetensors")}),
        ("control=canny,owner/net", {"control": ("canny", "owner/net")}),
        ("low-vram=on", {"low_vram": True}),
        ("metadata=off", {"metadata": False}),
        ("seed=7", {"seed": 7}),
        ("face=2", {"face": "2"}),
    ],
)
def test_a_change_is_read_as_the_option_reads_it(text: str, fields: dict[str, object]) -> None:
    assert read_changes([text]) == fields


def test_every_option_of_the_command_line_can_be_changed() -> None:
    values = {"int": "2", "float": "0.5", "bool": "on"}
    odd = {"width": "64x64", "stages": "2", "batch_size": "2", "control": "canny,x", "loras": "x"}
    for field, (asked, kind, _) in leaves(RenderOrder).items():
        if field in ("output", "overwrite", "min_likeness", "tries") or not (asked.flags or asked.off):
            continue
        value = odd.get(field, next((text for name, text in values.items() if str(kind).find(name) >= 0), "x"))
        name = asked.flags[0] if asked.flags else field
        assert field in read_changes([f"{name}={value}"])


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("stepps=4", "'stepps=4' changes nothing", "did you mean steps=4?"),
        ("steps", "'steps' changes nothing", "did you mean steps=VALUE?"),
        ("output=a.png", "changes nothing in a picture", "give -o PATH"),
        ("min-likeness=0.5", "changes nothing in a picture", "it tells which pictures are kept"),
        ("steps=many", "'many' is no number", "whole number"),
        ("low-vram=perhaps", "neither on nor off", "on or off"),
    ],
)
def test_what_changes_nothing_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        read_changes([text])
    assert hint in (raised.value.hint or "")


@pytest.mark.parametrize(
    "texts", [("steps=3", "steps=1"), ("guidance-scale=3", "guidance_scale=1"), ("size=64x64", "width=72x72")]
)
def test_an_option_that_is_changed_twice_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=f"'{texts[1]}' changes again what another change does"):
        read_changes(texts)


def test_what_was_read_makes_an_order() -> None:
    changes = read_changes(["init=a.png", "strength=0.5", "scheduler=Euler a"])
    order = RenderOrder.of(names=("a",), prompt="x", **changes)
    assert (order.init, order.config.strength, order.config.scheduler) == (Path("a.png"), 0.5, "euler-a")

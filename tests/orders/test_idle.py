"""orders/idle.py: what was said and changes nothing is told, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faceid_cli.orders import RenderOrder
from faceid_cli.orders.idle import idle_options

ONE, TWO = ("anna",), ("anna", "bob")


def idle(**options: Any) -> dict[str, str]:
    return idle_options(RenderOrder.of(**{"names": ONE, "prompt": "x", **options}))


@pytest.mark.parametrize(
    ("options", "field", "helps"),
    [
        ({"strength": 0.3}, "strength", {"init": Path("a.png")}),
        ({"control_scale": 0.2}, "control_scale", {"control": ("canny", "m"), "control_image": Path("a.png")}),
        ({"hires_strength": 0.9}, "hires_strength", {"hires": 1.5}),
        ({"tries": 9}, "tries", {"min_likeness": "0.5"}),
        ({"negative_prompt": "hat", "guidance_scale": 1.0}, "negative_prompt", {"guidance_scale": 2.0}),
        ({"guided": 0.5, "guidance_scale": 0.0}, "guided", {"guidance_scale": 2.0}),
        ({"likeness": 0.4, "likeness_keys": 0.1, "likeness_values": 0.2}, "likeness", {"likeness_keys": None}),
        ({"repair": 2}, "repair", {"names": TWO}),
        ({"repair": 2, "names": TWO, "layout": "none"}, "repair", {"layout": "triple"}),
        ({"format": "webp", "output": Path("a.png")}, "format", {"output": Path("folder")}),
    ],
)
def test_what_changes_nothing_is_told_until_what_is_missing_is_there(options, field, helps) -> None:
    found = idle(**options)
    assert list(found) == [field]
    assert found[field].startswith("--")
    assert " changes nothing " in found[field]
    assert idle(**{**options, **helps}) == {}


def test_who_says_nothing_is_told_nothing() -> None:
    assert idle() == {}
    assert idle(names=TWO, seed=3, steps=9, output=Path("a.jpg")) == {}

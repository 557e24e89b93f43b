"""The command that repeats an enrolment."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

from faceid_cli.orders import preset
from faceid_cli.orders.replay import enrol_command
from faceid_cli.registry.run_record import RunRecord
from faceid_cli.types import Identity


def settings_of(config, **request) -> dict:
    return {**dataclasses.asdict(config), "request": {"photos": ["/photos/a b"], **request}}


def order_of(name, base_model, settings, tags=(), note="", consent=""):
    """What a run recorded, for a person of today's name."""
    path = Path("unused")
    person = Identity(name, "1", "person", base_model, "sd1:0", {}, (), path, "", tuple(tags), note, consent)
    return RunRecord.of(settings).order(person)


def words(*arguments, **named) -> list[str]:
    return shlex.split(enrol_command(order_of(*arguments, **named)))


def test_only_what_differs_from_the_preset_is_said() -> None:
    assert words("alice", "builtin", settings_of(preset("sefi"))) == [
        *("faceid", "enroll", "alice", "/photos/a b", "--replace", "--model", "builtin", "--preset", "sefi")
    ]
    found = words("alice", "builtin", settings_of(preset("prospect", stages=4, learning_rate=1e-4, mirror=True)))
    assert found[found.index("--preset") :] == [
        *("--preset", "prospect", "--learning-rate", "0.0001", "--stages", "4", "--mirror")
    ]


def test_every_option_comes_back() -> None:
    config = preset("sefi", split_keys_values=False, self_attention=False, warm_up=3, attention_weight=0.1, seed=7)
    settings = settings_of(
        config, detect=True, box=[1.5, 2, 30, 40], strict=True, face_share=0.5, jitter=2, keep_photos=False
    )
    settings |= {"face": "left", "model_options": {"variant": "fp16", "vae": None, "loras": ["/l.safetensors:0.5"]}}
    found = words("alice", "/m/x y.ckpt", settings, ["a", "b"], "-n", "yes; rm -rf $HOME `id`")
    text = " ".join(found)
    for expected in (
        "--model /m/x y.ckpt --preset sefi --no-kv-split",
        "--lambda 0.1",
        "--set self_attention=false",
        "--set warm_up=3",
        "--seed 7",
        "--variant fp16 --lora /l.safetensors:0.5",
        "--face left --box 1.5,2,30,40 --strict --face-share 0.5 --jitter 2 --no-keep-photos",
        "--tag a --tag b --note=-n",
    ):
        assert expected in text
    assert found[-2:] == ["--consent", "yes; rm -rf $HOME `id`"], "one word, whatever the shell would make of it"


def test_the_prompt_of_previews_is_said_if_it_is_not_the_usual_one() -> None:
    usual = settings_of(preset("sefi"), preview_every=50, preview="a photo of {name}")
    assert words("alice", "builtin", usual)[-2:] == ["--preview-every", "50"]
    other = settings_of(preset("sefi"), preview_every=50, preview="{name} at night")
    assert words("alice", "builtin", other)[-4:] == ["--preview-every", "50", "--preview", "{name} at night"]


def test_an_older_record_has_its_photo_files() -> None:
    settings = {**dataclasses.asdict(preset("sefi")), "photo_files": ["/a.png", "/b.png"]}
    assert words("alice", "builtin", settings)[3:5] == ["/a.png", "/b.png"]


def test_without_a_record_there_is_no_command() -> None:
    assert order_of("alice", "builtin", {}) is None
    assert order_of("alice", "builtin", {"method": "somebody's own", "photo_files": ["/a"]}) is None
    damaged = settings_of(preset("sefi"), box=["a", 1])
    assert order_of("alice", "builtin", damaged) is None

"""The command that repeats an enrolment, to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faceid_cli.config import PRESETS
from faceid_cli.rendering.command import option

_OPTIONS = {
    "steps": "--steps",
    "learning_rate": "--learning-rate",
    "batch_size": "--batch",
    "stages": "--stages",
    "vectors": "--vectors",
    "attention_weight": "--lambda",
    "class_word": "--class",
    "templates": "--templates",
    "seed": "--seed",
    "precision": "--precision",
    "device": "--device",
    "checkpoint_every": "--checkpoint-every",
}
_FLAGS = {"split_keys_values": ("--kv-split", "--no-kv-split"), "mirror": ("--mirror", "")}


def enrol_command(
    name: str,
    base_model: str,
    settings: Mapping[str, Any],
    tags: Sequence[str] = (),
    note: str = "",
    consent: str = "",
) -> str:
    """Return the `faceid enroll` command for what a training run recorded; "" where the record does not suffice.

    Args:
        name: The person's, whom prompts in the record call "{name}".
        base_model: As the registry has it.
        settings: Of the run: the fields of `TrainConfig`, "photo_files", "face", "model_options" and "request".
        tags: Of the person.
        note: Of the person.
        consent: Of the person.
    """
    request = settings.get("request")
    request = request if isinstance(request, dict) else {}
    photos = [str(photo) for photo in request.get("photos") or settings.get("photo_files") or ()]
    if settings.get("method") not in PRESETS or not photos:
        return ""
    words = ["faceid", "enroll", name, *photos, "--replace", *option("--model", base_model)]
    words += [*_training(settings), *_model(settings, request), *_intake(settings, request)]
    for tag in tags:
        words += option("--tag", tag)
    words += [*option("--note", note), *option("--consent", consent)]
    return shlex.join(words)


def _training(settings: Mapping[str, Any]) -> Iterator[str]:
    """What differs from the preset."""
    preset = PRESETS[settings["method"]]
    yield from option("--preset", settings["method"])
    for field, usual in vars(preset).items():
        value = settings.get(field, usual)
        if value == usual or field == "method":
            continue
        if field in _OPTIONS:
            yield from option(_OPTIONS[field], value)
        elif field in _FLAGS:
            yield _FLAGS[field][0 if value else 1]
        else:
            yield from ("--set", f"{field}={str(value).lower() if isinstance(value, bool) else value}")


def _model(settings: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[str]:
    kept = settings.get("model_options")
    options = kept if isinstance(kept, dict) else {}
    yield from option("--variant", options.get("variant"))
    yield from option("--vae", options.get("vae"))
    for lora in options.get("loras") or ():
        yield from option("--lora", lora)
    if request.get("low_vram"):
        yield "--low-vram"


def _intake(settings: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("face", "auto") != "auto":
        yield from option("--face", settings["face"])
    if request.get("detect") is False:
        yield "--no-detect"
    if request.get("box"):
        yield from option("--box", ",".join(f"{float(number):.12g}" for number in request["box"]))
    if request.get("strict"):
        yield "--strict"
    yield from option("--face-share", request.get("face_share"))
    if request.get("jitter"):
        yield from option("--jitter", request["jitter"])
    if request.get("hold_out"):
        yield from option("--hold-out", request["hold_out"])
    if request.get("keep_photos") is False:
        yield "--no-keep-photos"
    if request.get("preview_every"):
        yield from option("--preview-every", request["preview_every"])
        if request.get("preview") != "a photo of {name}":
            yield from option("--preview", request.get("preview"))

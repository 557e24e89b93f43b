"""What other programs read of our pictures, and what we read of theirs."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from sd_parsers import ParserManager

from faceid_cli.errors import FaceIDError, PhotoError, UsageError
from faceid_cli.rendering.infotext import parameters_text, read_parameters
from faceid_cli.rendering.metadata import CHUNK, EXIF_IFD, MAKER, MAKER_NOTE, USER_COMMENT, picture_bytes, read_metadata
from faceid_cli.rendering.reading import read_picture
from faceid_cli.rendering.record import RenderMetadata
from faceid_cli.rendering.xmp import read_xmp, xmp_packet

KINDS = ("png", "jpeg", "webp")
RECORD = RenderMetadata(
    prompt="a photo of <alice>, castle",
    names=("alice",),
    identity_ids=("0f",),
    seed=7,
    steps=20,
    guidance_scale=7.5,
    scheduler="dpm++-karras",
    width=128,
    height=192,
    negative_prompt="blurry, dark",
    base_model="mix.safetensors",
    base_fingerprint="sd1:0123456789abcdef",
    versions={"faceid": "1.2.3"},
    hashes={"model": "aabbccddee", "lora:paint": "112233445566", "embed:ink": "665544332211"},
    lora_hashes={"paint": "112233445566"},
    identity_hashes={"alice": "0123456789abcdef"},
    batch=(6, 7),
)
SLY = (
    "Negative prompt: x",
    "a cup\nNegative prompt: x\nSteps: 1, Sampler: y, Seed: 3",
    "Steps: 9, Sampler: Euler, CFG scale: 3, Seed: 1",
    "negative prompt: NEGATIVE PROMPT: a, b: c",
    'Hashes: {"model": "0"}, quotes " and \\',
    "写真 🙂, Zoë",
)

PARSED: list[Image.Image] = []
"""Held, since the package knows the last picture by its `id`, which another one may get that comes later."""


def written(path: Path, record: RenderMetadata | None = RECORD, **more: bool) -> Path:
    kind = {".jpg": "jpeg"}.get(path.suffix, path.suffix[1:])
    path.write_bytes(picture_bytes(Image.new("RGB", (16, 16), (200, 90, 20)), record, kind, **more))
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", [RECORD.prompt, *SLY])
def test_the_record_comes_back_from_every_kind_of_file(tmp_path: Path, kind: str, prompt: str) -> None:
    record = replace(RECORD, prompt=prompt)
    assert read_metadata(written(tmp_path / f"a.{kind}", record)) == record


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", [RECORD.prompt, *SLY])
def test_sd_parsers_takes_prompt_and_negative_prompt_apart(tmp_path: Path, kind: str, prompt: str) -> None:
    with Image.open(written(tmp_path / f"a.{kind}", replace(RECORD, prompt=prompt))) as image:
        found = ParserManager().parse(image)
    assert found is not None
    PARSED.append(image)
    (sampler,) = found.samplers
    squeezed = re.sub(r"\s+", "", prompt)
    assert re.sub(r"\s+", "", sampler.prompts[0].value) == squeezed, "but for white space all of it is there"
    assert [each.value for each in sampler.negative_prompts] == ["blurry, dark"]
    assert sampler.name == "DPM++ 2M Karras"
    assert sampler.parameters["seed" if "seed" in sampler.parameters else "Seed"] == "7"
    assert (sampler.model.name, sampler.model.hash) == ("mix", "aabbccddee")
    assert found.metadata["Hashes"] == RECORD.hashes


def test_hashes_stand_where_readers_look_for_them() -> None:
    *_, last = parameters_text(RECORD).split("\n")
    assert ", Model hash: aabbccddee, Model: mix, " in last
    assert ', Lora hashes: "paint: 112233445566", ' in last
    assert ', TI hashes: "ink: 665544332211", ' in last
    assert last.endswith(f", Hashes: {json.dumps(RECORD.hashes)}")


@pytest.mark.parametrize("prompt", [RECORD.prompt, *SLY])
def test_our_own_reader_understands_it_too(prompt: str) -> None:
    found = read_parameters(parameters_text(replace(RECORD, prompt=prompt)))
    assert re.sub(r"\s+", "", found.prompt) == re.sub(r"\s+", "", prompt)
    assert found.negative_prompt == "blurry, dark"
    assert (found.settings["Seed"], found.settings["Size"]) == ("7", "128x192")
    assert found.hashes == RECORD.hashes


def test_xmp_has_the_fields_of_2025_and_says_who_wrote_the_prompt_only_if_told(tmp_path: Path) -> None:
    for kind in KINDS:
        fields = read_picture(written(tmp_path / f"a.{kind}")).fields
        assert fields == {
            "DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
            "AIPromptInformation": RECORD.prompt,
            "AISystemUsed": "faceid with mix.safetensors",
            "AISystemVersionUsed": "1.2.3",
            "CreatorTool": "faceid 1.2.3",
        }
    odd = replace(RECORD, prompt='a "b" & <c>\x08\ufffe', prompt_writer="Jane Doe")
    fields = read_xmp(xmp_packet(odd))
    assert (fields["AIPromptInformation"], fields["AIPromptWriterName"]) == ('a "b" & <c>??', "Jane Doe")


@pytest.mark.parametrize("kind", KINDS)
def test_without_metadata_only_the_mark_is_left(tmp_path: Path, kind: str) -> None:
    file = written(tmp_path / f"a.{kind}", is_told=False)
    found = read_picture(file)
    assert (found.record, found.parameters, set(found.fields)) == (None, None, {"DigitalSourceType"})
    assert found.is_marked
    assert not any(word in file.read_bytes() for word in (b"alice", b"castle", b"faceid", b"mix"))


def test_what_the_web_ui_wrote_is_read(tmp_path: Path) -> None:
    text = (
        "a castle,\n(night:1.2)\nNegative prompt: blurry,\ndark\nSteps: 20, Sampler: Euler a, CFG scale: 7, "
        'Seed: 3, Size: 512x768, Model hash: 6ce0161689, Lora hashes: "a: 1, b: 2", Version: v1.10.1'
    )
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    exif = Image.Exif()
    exif[EXIF_IFD] = {USER_COMMENT: b"UNICODE\0" + text.encode("utf-16-be")}
    Image.new("RGB", (4, 4)).save(tmp_path / "b.jpg", exif=exif)
    exif[EXIF_IFD] = {USER_COMMENT: b"UNICODE\0" + text.encode("utf-16-le")}
    Image.new("RGB", (4, 4)).save(tmp_path / "c.webp", exif=exif)
    for name in ("a.png", "b.jpg", "c.webp"):
        found = read_picture(tmp_path / name)
        assert found.parameters is not None
        assert found.parameters.prompt == "a castle,\n(night:1.2)"
        assert found.parameters.negative_prompt == "blurry,\ndark"
        assert found.parameters.settings["Lora hashes"] == "a: 1, b: 2"
        assert (found.record, found.is_marked) == (None, False)
        assert "AUTOMATIC1111" in found.program


def test_comfyui_is_recognised(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "{}")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    assert read_picture(tmp_path / "a.png").program == "ComfyUI"


HOSTILE = {
    "long": "x" * 900_000,
    "colons": "a:" * 100_000,
    "words": "\n" + "word " * 150_000 + ":",
    "quotes": 'Steps: "' + "\\" * 100_000,
    "deep": "a\nSteps: 1, Seed: 1, Sampler: x, Hashes: {" + "[" * 50_000 + "}",
    "codes": "\x1b]0;owned\x07\x1b[2J\u202e\nSteps: 1, Seed: \x9b31m, Sampler: \ud800",
    "empty": "\n\n\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_words_are_read_soon_and_without_harm(tmp_path: Path, name: str) -> None:
    text = HOSTILE[name].encode("utf-8", "replace").decode()
    info = PngImagePlugin.PngInfo()
    for chunk in ("parameters", CHUNK, "XML:com.adobe.xmp"):
        info.add_itxt(chunk, text)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    exif = Image.Exif()
    short = text[:15_000]
    exif.get_ifd(EXIF_IFD).update(
        {
            USER_COMMENT: b"UNICODE\0" + short.encode("utf-16-le", "replace"),
            MAKER_NOTE: MAKER + short.encode("utf-8", "replace"),
        }
    )
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=exif, xmp=short.encode("utf-8", "replace"))
    for file in ("a.png", "a.jpg"):
        assert read_picture(tmp_path / file).record is None


def test_files_with_flipped_bytes_are_read_or_refused_in_words(tmp_path: Path) -> None:
    for kind in KINDS:
        whole = written(tmp_path / f"whole.{kind}").read_bytes()
        for place in range(0, len(whole), 23):
            broken = tmp_path / f"broken.{kind}"
            broken.write_bytes(whole[:place] + bytes([whole[place] ^ 0xA5]) + whole[place + 1 :])
            with suppress(FaceIDError):
                read_picture(broken)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PhotoError, match="not a file"):
        read_picture(tmp_path / "a.png")


def test_words_that_do_not_fit_into_a_jpeg_are_told() -> None:
    with pytest.raises(UsageError, match="too long for a jpeg file"):
        picture_bytes(Image.new("RGB", (8, 8)), replace(RECORD, prompt="x " * 40_000), "jpeg")

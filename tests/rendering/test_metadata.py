"""rendering/metadata.py: what a picture file says about itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image, PngImagePlugin

from faceid_cli.errors import NotAnImageError, PhotoNotFoundError
from faceid_cli.rendering import metadata as subject
from faceid_cli.rendering.metadata import png_chunks, read_metadata
from faceid_cli.rendering.record import RenderMetadata

EXAMPLE = RenderMetadata(
    prompt="a photo of <alice> holding a basketball, Eiffel Tower",
    names=("alice", "bob-2"),
    identity_ids=("0f", "1e"),
    seed=4294967295,
    steps=20,
    guidance_scale=7.5,
    scheduler="dpm++",
    width=128,
    height=192,
    negative_prompt="blurry, dark",
    base_model="/models/some, odd: name",
    base_fingerprint="sd1:0123456789abcdef",
    precision="float32",
    versions={"faceid": "1.2.3", "torch": "2.15"},
)


def _write(path: Path, metadata: RenderMetadata = EXAMPLE) -> Path:
    Image.new("RGB", (4, 4)).save(path, pnginfo=png_chunks(metadata))
    return path


def test_everything_comes_back(tmp_path: Path) -> None:
    assert read_metadata(_write(tmp_path / "a.png")) == EXAMPLE


@pytest.mark.parametrize("prompt", ["Zoë 写真 🙂", "lone \udcff surrogate", 'quotes " and \\ and, colons: x', "nul \0"])
def test_any_prompt_survives(tmp_path: Path, prompt: str) -> None:
    example = replace(EXAMPLE, prompt=prompt)
    assert read_metadata(_write(tmp_path / "a.png", example)) == example


def test_parameters_follow_the_grammar(tmp_path: Path) -> None:
    with Image.open(_write(tmp_path / "a.png")) as image:
        lines = image.info["parameters"].split("\n")
    assert lines[0] == EXAMPLE.prompt
    assert lines[1] == "Negative prompt: blurry, dark"
    pairs = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', lines[2])
    assert len(lines) == 3
    assert dict(pairs) == {
        "Steps": "20",
        "Sampler": "DPM++ 2M",
        "CFG scale": "7.5",
        "Seed": "4294967295",
        "Size": "128x192",
        "Model": '"/models/some, odd: name"',
        "FaceID": "alice bob-2",
        "FaceID base": "sd1 0123456789abcdef",
        "Version": "faceid 1.2.3",
    }


def test_line_breaks_in_prompts_do_not_break_the_grammar() -> None:
    sly = replace(EXAMPLE, prompt="a\nNegative prompt: x\nSteps: 1", negative_prompt="")
    assert len(subject.parameters_text(sly).split("\n")) == 2


def test_xmp_declares_a_trained_model(tmp_path: Path) -> None:
    odd = replace(EXAMPLE, versions={"faceid": '1"<&'})
    with Image.open(_write(tmp_path / "a.png", odd)) as image:
        packet = image.info["xmp"].decode()
    root = ElementTree.fromstring(packet[packet.index("<x:xmpmeta") : packet.index("<?xpacket end")])
    description = root[0][0]
    assert (
        description.attrib["{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"]
        == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    assert description.attrib["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == 'faceid 1"<&'


GOOD = json.loads(subject.to_json(EXAMPLE))


@pytest.mark.parametrize(
    "chunk",
    [
        "",
        "not json",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        json.dumps(GOOD | {"format": 99}),
        json.dumps(GOOD | {"names": "alice"}),
        json.dumps(GOOD | {"names": [1]}),
        json.dumps(GOOD | {"seed": "1"}),
        json.dumps(GOOD | {"seed": -1}),
        json.dumps(GOOD | {"steps": True}),
        json.dumps(GOOD | {"prompt": None}),
        json.dumps(GOOD | {"guidance_scale": "high"}),
        json.dumps(GOOD | {"guidance_scale": None}),
        json.dumps(GOOD | {"guidance_scale": float("nan")}),
        json.dumps(GOOD | {"versions": [1]}),
        json.dumps({key: value for key, value in GOOD.items() if key != "width"}),
    ],
)
def test_hostile_chunks_read_as_none(tmp_path: Path, chunk: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("faceid", chunk)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    assert read_metadata(tmp_path / "a.png") is None


def test_unknown_keys_of_later_versions_are_passed_over() -> None:
    assert subject.from_json(json.dumps(GOOD | {"later": 1})) == EXAMPLE


def test_pictures_without_the_chunk(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    assert read_metadata(tmp_path / "a.jpg") is None


def test_an_inflating_chunk_is_refused(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("faceid", "x" * 100_000_000, zip=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "bomb.png", pnginfo=info)
    with pytest.raises(NotAnImageError, match=r"bomb.png is damaged"):
        read_metadata(tmp_path / "bomb.png")


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(NotAnImageError, match=r"not a picture"):
        read_metadata(tmp_path / "a.png")
    with pytest.raises(PhotoNotFoundError, match=r"no such file"):
        read_metadata(tmp_path / "b.png")

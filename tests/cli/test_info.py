"""`faceid info` and `faceid history`: what pictures say, and what was rendered."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from safetensors.numpy import save_file

import faceid_cli
from faceid_cli.registry.records import NewRender
from faceid_cli.registry.store import Registry

CHEAP = ("--device", "cpu", "--steps", 2)


def test_a_picture_says_who_is_in_it_and_how_it_is_made_again(faceid, alice) -> None:
    assert faceid("generate", "alice", "castle", "--negative", "blurry", "--seed", 7, *CHEAP, "-o", "a.png").code == 0
    lines = faceid("info", "a.png").out.splitlines()
    shown = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in lines}
    assert shown["people"] == "alice"
    assert shown["prompt"] == "a photo of <alice>, castle"
    assert (shown["seed"], shown["negative prompt"], shown["steps"]) == ("7", "blurry", "2 of ddim")
    assert shown["AI"] == "made by a trained model"
    assert shown["pixels"] == "as rendered"
    (found,) = faceid("info", "a.png", "--json").data["pictures"]
    assert found["metadata"]["seed"] == 7
    assert (found["ai"], found["edited"], found["program"], found["format"]) == (True, False, "faceid", "PNG")
    again = shlex.split(found["command"])
    assert shown["again"] == found["command"]
    assert faceid(*again[1:], "-o", "b.png").code == 0
    with Image.open("a.png") as first, Image.open("b.png") as second:
        assert first.tobytes() == second.tobytes()


def test_what_a_picture_says_is_shown_though_its_pixels_are_cut(faceid, alice) -> None:
    assert faceid("generate", "alice", "castle", "--seed", 7, *CHEAP, "-o", "a.png").code == 0
    whole = Path("a.png").read_bytes()
    Path("a.png").write_bytes(whole[:-1_000])
    (found,) = faceid("info", "a.png", "--json").data["pictures"]
    assert (found["metadata"]["seed"], found["edited"], found["watermark"]) == (7, None, None)


def test_files_that_it_was_made_from_are_named_without_folders(faceid, alice, tmp_path) -> None:
    Image.effect_noise((64, 64), 50).convert("RGB").save(tmp_path / "photo.png")
    words = ("--init", tmp_path / "photo.png", *CHEAP, "-o", "a.png")
    assert faceid("generate", "alice", "", *words).code == 0
    (found,) = faceid("info", "a.png", "--json").data["pictures"]
    assert "--init photo.png" in found["command"]
    assert str(tmp_path) not in found["command"]


def test_an_embedding_is_told_with_the_digests_that_other_programs_know(faceid, alice) -> None:
    import hashlib

    import numpy as np

    save_file({"emb_params": np.ones((1, 32), dtype=np.float32)}, "ink.safetensors")
    digest = hashlib.sha256(Path("ink.safetensors").read_bytes()).hexdigest()
    assert faceid("generate", "alice", "in <ink>", "--embedding", "ink.safetensors", *CHEAP, "-o", "a.jpg").code == 0
    (found,) = faceid("info", "a.jpg", "--json").data["pictures"]
    assert found["parameters"]["settings"]["TI hashes"] == f"ink: {digest[:12]}"
    assert found["parameters"]["hashes"] == {"embed:ink": digest[:12]}
    assert "Model hash" not in found["parameters"]["settings"], "a folder has none that a site could know"


def test_what_strangers_wrote_reaches_no_terminal_as_it_is(faceid) -> None:
    info = PngImagePlugin.PngInfo()
    sly = "\x1b]0;owned\x07 \x1b[2J\u202egnp.\x9b31m"
    info.add_itxt("parameters", f"{sly}\nNegative prompt: {sly}\nSteps: 1, Seed: {sly}, Sampler: x")
    packet = f'<a Iptc4xmpExt:AISystemUsed="{sly}" Iptc4xmpExt:DigitalSourceType="x/trainedAlgorithmicMedia"/>'
    info.add_itxt("XML:com.adobe.xmp", packet)
    Image.new("RGB", (4, 4)).save("sly.png", pnginfo=info)
    answer = faceid("info", "sly.png")
    assert answer.code == 0
    assert "\\x1b]0;owned\\x07" in answer.out
    assert not set(answer.out) & set("\x1b\x07\x9b\u202e")
    assert faceid("info", "sly.png", "--json").data["pictures"][0]["fields"]["AISystemUsed"] == sly.strip()


def test_one_bad_file_does_not_hide_the_others(faceid) -> None:
    Image.new("RGB", (4, 4)).save("a.png")
    Path("b.png").write_text("no picture", encoding="utf-8")
    answer = faceid("info", "b.png", "missing.png", "a.png")
    assert answer.code == 4
    assert "nothing of how it was made" in answer.out
    assert "b.png is not a picture" in answer.err
    assert "no such file: missing.png" in answer.err
    data = faceid("info", "b.png", "a.png", "--json").data["pictures"]
    assert [(each["file"], "error" in each) for each in data] == [("a.png", False), ("b.png", True)]


def test_the_format_of_files_in_a_folder_can_be_chosen_and_kept(faceid, alice) -> None:
    assert faceid("generate", "alice", "", *CHEAP, "-o", "out", "--format", "jpg").code == 0
    assert faceid("config", "set", "format", "webp").code == 0
    assert faceid("generate", "alice", "", *CHEAP, "-o", "out").code == 0
    assert faceid("generate", "alice", "", *CHEAP, "-o", "out/own.PNG").code == 0
    pictures = faceid("info", *Path("out").iterdir(), "--json").data["pictures"]
    found = {Path(each["file"]).name: each["format"] for each in pictures}
    assert found == {"alice.jpg": "JPEG", "alice.webp": "WEBP", "own.PNG": "PNG"}
    assert faceid("generate", "alice", "", "--format", "gif").code == 2


def test_who_wrote_the_prompt_is_told_after_it_was_set(faceid, alice) -> None:
    assert faceid("config", "set", "prompt-writer", "Jane Doe").code == 0
    assert faceid("generate", "alice", "", *CHEAP, "-o", "a.png").code == 0
    assert faceid_cli.info("a.png").text.fields["AIPromptWriterName"] == "Jane Doe"
    assert "prompt by" in faceid("info", "a.png").out


@pytest.fixture
def rendered(add_person) -> None:
    """Records of pictures of alice and bob."""
    alice, bob = add_person("alice"), add_person("bob")
    with Registry.open() as registry:
        registry.add_renders(
            [
                NewRender((alice.id,), Path("/pictures/one.png"), "a castle 100%", 1, {"steps": 2}),
                NewRender((bob.id,), Path("/pictures/two.png"), "a Castle at night", 2, {}),
                NewRender((bob.id, alice.id), Path("/night/three.png"), "chess_board", 3, {}),
            ]
        )


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        ((), [3, 2, 1]),
        (("castle",), [2, 1]),
        (("castle", "night"), [2]),
        (("night",), [3, 2]),
        (("alice",), [3, 1]),
        (("--person", "alice"), [3, 1]),
        (("castle", "--person", "ALICE"), [1]),
        (("--limit", "2"), [3, 2]),
        (("--limit", "0"), [3, 2, 1]),
        (("100%",), [1]),
        (("%",), [1]),
        (("s_b",), [3]),
        (("nothing",), []),
    ],
)
def test_history_finds_pictures_newest_first(faceid, rendered, words, seeds) -> None:
    answer = faceid("history", *words, "--json")
    assert answer.code == 0
    assert [each["seed"] for each in answer.data["renders"]] == seeds
    assert len(faceid_cli.history(words[0])) == len(seeds) if len(words) == 1 else True


def test_history_shows_who_is_there_and_what_is_gone(faceid, rendered) -> None:
    lines = faceid("history").out.splitlines()
    assert lines[0].split() == ["WHEN", "SEED", "PEOPLE", "FILE", "PROMPT"]
    assert lines[1].split()[2:] == ["3", "bob,", "alice", "/night/three.png", "(gone)", "chess_board"]
    assert faceid("history", "-q", "chess").out == "/night/three.png\n"
    found = faceid("history", "one.png", "--json").data["renders"][0]
    assert (found["exists"], found["names"], found["settings"]) == (False, ["alice"], {"steps": 2})
    assert "only the newest 2 pictures; --limit 0 shows all" in faceid("history", "--limit", 2).err
    assert "no picture was found" in faceid("history", "nothing").err


def test_history_without_a_registry_writes_none(faceid) -> None:
    assert faceid("history").code == 0
    assert not Path(faceid_cli.kept.paths.home()).exists()
    assert faceid("history", "--person", "nobody").code == 3
    assert faceid("history", "--limit", "-1").code == 2

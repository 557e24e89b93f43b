"""`faceid export --to`: files that other programs load, told what they lose, whole or not at all."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from faceid_cli.kept.identity_file import load_identity, save_identity

WIDTHS = {
    "sd1": {"text_encoder": 768},
    "sd2": {"text_encoder": 1024},
    "sdxl": {"text_encoder": 768, "text_encoder_2": 1280},
}


@pytest.fixture
def enrolled(add_person):
    """Enrol somebody of a family's true widths, without learning them."""

    def add(name: str, family: str = "sd1", stages: int = 5, split: bool = True, seed: int = 0, vectors: int = 1):
        person = add_person(name, base_model="owner/base", base_fingerprint=f"{family}:0123456789abcdef")
        noise = np.random.default_rng(seed)
        keys, values = (
            {
                encoder: noise.normal(size=(stages, vectors, width)).astype(np.float32)
                for encoder, width in WIDTHS[family].items()
            }
            for _ in range(2)
        )
        said = replace(load_identity(person.path).metadata, base_fingerprint=f"{family}:0123456789abcdef")
        save_identity(person.path, keys, values if split else keys, said)
        return load_identity(person.path)

    return add


def files(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def test_the_list_says_what_each_target_keeps_and_loses(faceid) -> None:
    data = faceid("export", "--list", "--json").data["targets"]
    assert [each["name"] for each in data] == ["faceid", "diffusers", "comfyui", "a1111", "invokeai", "kohya"]
    assert data[1]["loses"] == "nothing"
    assert "keys and values become one token" in data[3]["loses"]
    lines = faceid("export", "--list").out.splitlines()
    assert lines[3:6] == [
        "diffusers  scripts with diffusers: folder with card and snippet",
        "           keeps everything",
        "           loses nothing",
    ]
    assert max(map(len, lines)) <= 80
    assert faceid("export", "--list", "-q").out.split() == [each["name"] for each in data]


def test_nothing_is_lost_unasked(enrolled, faceid) -> None:
    enrolled("alice")
    answer = faceid("export", "alice", "--to", "a1111")
    assert answer.code == 2
    assert "keys and values are one token" in answer.err
    assert "--lossy" in answer.err
    assert not Path("alice-a1111").exists()


def test_a_prompt_and_a_file_a_stage_for_the_web_ui(enrolled, faceid) -> None:
    stored = enrolled("Al_ice")
    answer = faceid("export", "Al_ice", "--to", "a1111", "--lossy", "--token", "keys", "--json")
    (data,) = answer.data["exports"]
    stems = [f"fid-al-ice-s{number}" for number in range(1, 6)]
    folder = "Al_ice-a1111"
    assert files(folder) == [*(f"embeddings/{stem}.safetensors" for stem in stems), "faceid-export.json", "prompts.txt"]
    for stage, stem in enumerate(stems):
        tensors = load_file(f"{folder}/embeddings/{stem}.safetensors")
        assert list(tensors) == ["emb_params"], "with any other tensor some programs refuse the file"
        assert np.array_equal(tensors["emb_params"], stored.keys["text_encoder"][stage])
    word = "[fid-al-ice-s1:[fid-al-ice-s2:[fid-al-ice-s3:[fid-al-ice-s4:fid-al-ice-s5:11]:9]:7]:4]"
    assert word in data["use"]
    assert f"20 steps:\na photo of {word} in Paris" in Path(folder, "prompts.txt").read_text()
    assert data["lost"] == ["keys and values are one token (keys)"]


def test_stable_diffusion_xl_has_two_tensors_in_one_file(enrolled, faceid) -> None:
    stored = enrolled("alice", "sdxl", vectors=2)
    assert faceid("export", "alice", "--to", "invokeai", "--lossy", "--token", "mean", "-o", "out").code == 0
    tensors = load_file("out/fid-alice-s2.safetensors")
    assert {name: part.shape for name, part in tensors.items()} == {"clip_l": (2, 768), "clip_g": (2, 1280)}
    second = (stored.keys["text_encoder_2"][1] + stored.values["text_encoder_2"][1]) / 2
    assert np.array_equal(tensors["clip_g"], second)
    with safe_open("out/fid-alice-s2.safetensors", "numpy") as file:
        assert file.metadata()["modelspec.architecture"] == "stable-diffusion-xl-v1-base/textual-inversion"


@pytest.mark.parametrize(("to", "words"), [("kohya", ()), ("a1111", ("--single",)), ("invokeai", ("--single",))])
def test_one_token_for_all_stages(enrolled, faceid, to, words) -> None:
    stored = enrolled("alice")
    answer = faceid("export", "alice", "--to", to, "--lossy", "-o", "out", *words, "--json")
    assert "all stages have one token" in answer.data["exports"][0]["lost"]
    (file,) = Path("out").rglob("*.safetensors")
    assert file.name == "fid-alice.safetensors"
    assert load_file(file)["emb_params"].shape == (1, 768)
    assert np.ptp([np.abs(load_file(file)["emb_params"]).max(), np.abs(stored.keys["text_encoder"]).max()]) < 3


def test_who_has_one_token_anyway_loses_nothing(enrolled, faceid) -> None:
    enrolled("alice", stages=1, split=False)
    for to in ("a1111", "invokeai", "kohya"):
        answer = faceid("export", "alice", "--to", to, "--json")
        assert answer.code == 0
        assert answer.data["exports"][0]["lost"] == []


def test_equal_exports_are_equal_bytes(enrolled, faceid) -> None:
    enrolled("alice", "sdxl")
    for folder in ("a", "b"):
        faceid("export", "alice", "--to", "a1111", "--lossy", "-o", folder)
    assert files("a") == files("b")
    assert all(Path("a", name).read_bytes() == Path("b", name).read_bytes() for name in files("a"))


def test_only_an_earlier_export_is_replaced(enrolled, faceid) -> None:
    enrolled("alice")
    words = ("export", "alice", "--to", "a1111", "--lossy", "-o", "out")
    assert faceid(*words).code == 0
    assert faceid(*words).code == 9
    assert faceid(*words, "--single", "--replace").code == 0
    assert files("out") == ["embeddings/fid-alice.safetensors", "faceid-export.json", "prompts.txt"]
    Path("out/mine.txt").write_text("mine")
    before = {name: Path("out", name).read_bytes() for name in files("out")}
    answer = faceid(*words, "--replace")
    assert answer.code == 9
    assert "mine.txt" in answer.err
    Path("out/mine.txt").unlink()
    Path("out/prompts.txt").write_text("changed by me")
    assert faceid(*words, "--replace").code == 9, "what somebody has changed is theirs"
    assert {name: Path("out", name).read_bytes() for name in files("out")} == {
        name: content for name, content in before.items() if name != "mine.txt"
    } | {"prompts.txt": b"changed by me"}
    assert not list(Path().glob(".faceid-export-*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "nothing"), "there is no target 'nothing'"),
        (("--to", "diffusers", "--sampler", "Euler"), "--to diffusers has no --sampler"),
        (("--to", "a1111", "--lossy", "--sampler", "DPM adaptive"), "is not known"),
        (("--to", "a1111", "--lossy", "--token", "best"), "there is no token 'best'"),
        (("--single",), "--to faceid has no --single"),
    ],
)
def test_what_cannot_be_meant_is_refused(enrolled, faceid, words, said) -> None:
    enrolled("alice")
    answer = faceid("export", "alice", *words)
    assert answer.code == 2
    assert said in answer.err
    assert list(Path().iterdir()) == []


def test_people_of_the_builtin_model_go_to_no_program_that_cannot_load_it(add_person, faceid) -> None:
    add_person("alice")
    answer = faceid("export", "alice", "--to", "a1111", "--lossy")
    assert answer.code == 2
    assert "a base model of its own kind (builtin)" in answer.err
    assert list(Path().iterdir()) == []


def test_two_people_whose_files_would_have_one_name(enrolled, faceid) -> None:
    enrolled("al-ice")
    enrolled("al_ice")
    answer = faceid("export", "al-ice", "al_ice", "--to", "kohya", "--lossy", "-o", "out")
    assert answer.code == 2
    assert "two people would both be fid-al-ice" in answer.err


def test_people_share_a_prompt(enrolled, faceid) -> None:
    enrolled("alice")
    enrolled("bob", stages=1, split=False, seed=1)
    answer = faceid("export", "alice", "bob", "--to", "a1111", "--lossy", "--prompt", "playing chess", "--json")
    use = answer.data["exports"][0]["use"]
    assert use.endswith("fid-alice-s5:11]:9]:7]:4] and fid-bob playing chess")
    assert Path("alice-bob-a1111/embeddings/fid-bob.safetensors").is_file()
    assert faceid("export", "alice", "--to", "a1111", "--lossy", "--prompt", "<carol> here", "-o", "x").code == 2


def test_no_name_and_no_list(faceid) -> None:
    assert faceid("export").code == 2


def test_a_folder_for_diffusers_has_a_script_that_runs_and_a_card(alice, faceid, tiny_model_dir, monkeypatch) -> None:
    answer = faceid("export", "alice", "--to", "diffusers", "--prompt", "a photo of <alice> holding a cup", "--json")
    assert answer.code == 0
    assert files("alice-diffusers") == ["README.md", "alice.safetensors", "faceid-export.json", "use.py"]
    monkeypatch.setattr("sys.argv", ["use.py", str(tiny_model_dir)])
    runpy.run_path("alice-diffusers/use.py")
    with Image.open("alice.png") as picture:
        assert picture.size == (64, 64)
        assert len(picture.getcolors(64 * 64)) > 100
    card = Path("alice-diffusers/README.md").read_text()
    head = dict(line.split(": ", 1) for line in card.split("---")[1].strip().splitlines())
    assert json.loads(head["tags"])[0] == "text-to-image"
    assert "base_model" not in head, "a folder of this machine is nobody's business"
    assert str(tiny_model_dir) not in card
    assert "## Consent" in card
    assert "faceid_cli.attach(pipe" in card


def test_a_card_names_a_public_base_model_and_what_was_consented_to(enrolled, faceid) -> None:
    enrolled("alice")
    faceid("note", "alice", "hello")
    assert faceid("export", "alice", "--to", "diffusers").code == 0
    card = Path("alice-diffusers/README.md").read_text()
    assert 'base_model: "owner/base"' in card
    assert "ask before you share this" in card

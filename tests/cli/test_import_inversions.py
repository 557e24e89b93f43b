"""`faceid import` of other programs' textual inversions: they become people whom every command takes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from faceid_cli.kept.identity_file import load_identity

WIDTH = 32  # of the tiny model
VECTORS = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(0)) * 0.3


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=int)


def features(faceid, name: str):
    return load_identity(Path(faceid("show", name, "--json").data["identity"]["file"]))


def webui(path: Path) -> None:
    content = {"string_to_token": {"*": 265}, "string_to_param": {"*": VECTORS}, "name": "x", "step": 9}
    torch.save(content, path)


WRITERS = {
    "webui.pt": webui,
    "diffusers.bin": lambda path: torch.save({"<anna>": VECTORS}, path),
    "bare.pt": lambda path: torch.save(VECTORS, path),
    "kohya.safetensors": lambda path: save_file({"emb_params": VECTORS.half()}, path),
    "comfyui.safetensors": lambda path: save_file({"clip_l": VECTORS}, path, {"modelspec.title": "x"}),
}


@pytest.mark.parametrize("file", WRITERS)
def test_every_layout_becomes_a_person_of_one_stage(faceid, tiny_model_dir, file) -> None:
    WRITERS[file](Path(file))
    answer = faceid("import", file, "--model", tiny_model_dir, "--class", "woman", "--tag", "theirs", "--json")
    assert answer.code == 0
    stored = features(faceid, Path(file).stem)
    assert np.allclose(stored.keys["text_encoder"], VECTORS[None].numpy(), atol=1e-3)
    assert np.array_equal(stored.keys["text_encoder"], stored.values["text_encoder"])
    assert stored.metadata.class_word == "woman"
    data = faceid("list", "--json").data["identities"][0]
    assert (data["method"], data["tags"]) == ({"method": "textual-inversion-file"}, ["theirs"])


def test_the_class_word_is_a_plain_one(faceid, tiny_model_dir) -> None:
    WRITERS["kohya.safetensors"](Path("anna.safetensors"))
    answer = faceid("import", "anna.safetensors", "--model", tiny_model_dir, "--class", "(woman:2)")
    assert answer.code == 2
    assert "the class word '(woman:2)' is not a plain word" in answer.err


def test_pictures_are_those_of_the_embedding(faceid, tiny_model_dir) -> None:
    WRITERS["kohya.safetensors"](Path("anna.safetensors"))
    assert faceid("import", "anna.safetensors", "--model", tiny_model_dir).code == 0
    common = ("--seed", 3, "--steps", 3, "--device", "cpu")
    assert faceid("generate", "anna", "a photo of <anna> at the beach", *common, "-o", "a.png").code == 0
    assert faceid("rename", "anna", "someone").code == 0
    words = ("generate", "someone", "a photo of <someone> at the beach", *common)
    assert faceid(*words, "-o", "b.png").code == 0
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    save_file({"emb_params": VECTORS * 0 + 1}, "other.safetensors")
    faceid("import", "other.safetensors", "--name", "other", "--model", tiny_model_dir)
    faceid("generate", "other", "a photo of <other> at the beach", *common, "-o", "c.png")
    assert np.abs(pixels("a.png") - pixels("c.png")).mean() > 1


def test_it_goes_together_with_an_enrolled_person_and_out_again(alice, faceid, tiny_model_dir) -> None:
    WRITERS["webui.pt"](Path("anna.pt"))
    assert faceid("import", "anna.pt", "--model", tiny_model_dir).code == 0
    common = ("--seed", 3, "--steps", 2, "--device", "cpu", "-o", "both.png")
    assert faceid("compose", "alice", "anna", "at the beach", *common).code == 0
    assert faceid("export", "anna").code == 0
    assert faceid("import", "anna.safetensors", "--name", "again").code == 0
    assert features(faceid, "again").digest == features(faceid, "anna").digest


def test_a_folder_of_diffusers_gives_its_name(faceid, tiny_model_dir) -> None:
    Path("cat toy").mkdir()
    save_file({"<cat-toy>": VECTORS}, "cat toy/learned_embeds.safetensors")
    assert faceid("import", "cat toy", "--model", tiny_model_dir, "-q").out == "cat-toy\n"
    file = ("import", "cat toy/learned_embeds.safetensors", "--model", tiny_model_dir, "--replace", "-q")
    assert faceid(*file).out == "cat-toy\n"


def hostile(path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path("hacked").write_text, ("x",))

    torch.save({"emb": Evil()}, path)


@pytest.mark.parametrize(
    ("file", "write", "code", "said"),
    [
        ("a.pt", hostile, 11, "could run code"),
        ("a.safetensors", lambda path: save_file({"a": VECTORS, "b": VECTORS * 2}, path), 11, "neither a person"),
        ("a.safetensors", lambda path: save_file({"emb_params": VECTORS[:, :30].clone()}, path), 5, "width 30"),
        ("a.safetensors", lambda path: save_file({"emb_params": VECTORS * np.nan}, path), 5, "NaN"),
        ("a.safetensors", lambda path: path.write_bytes(b"{" * 99), 11, "is damaged"),
        ("a.pt", lambda path: path.write_bytes(b"PK\x03\x04" + b"x" * 99), 11, "neither a person"),
        ("a.bin", lambda path: None, 11, "no embedding at"),
        ("....safetensors", lambda path: save_file({"emb_params": VECTORS}, path), 2, "give one with --name"),
    ],
)
def test_what_is_none_is_refused_and_nothing_is_kept(faceid, tiny_model_dir, file, write, code, said) -> None:
    write(Path(file))
    answer = faceid("import", file, "--model", tiny_model_dir)
    assert answer.code == code
    assert said in answer.err
    assert faceid("list", "-q").out == ""
    assert not Path("hacked").exists()


def test_the_builtin_model_does_not_take_what_is_made_for_checkpoints(faceid) -> None:
    save_file({"emb_params": torch.zeros(1, 768)}, "anna.safetensors")
    answer = faceid("import", "anna.safetensors")
    assert answer.code == 5
    assert "width 768" in answer.err


def test_an_inversion_that_became_a_person_of_faceid_needs_no_model_either(faceid, tiny_model_dir) -> None:
    WRITERS["kohya.safetensors"](Path("anna.safetensors"))
    assert faceid("import", "anna.safetensors", "--model", tiny_model_dir).code == 0
    faceid("export", "anna", "-o", "own.safetensors")
    answer = faceid("import", "own.safetensors", "--name", "b", "--class", "woman")
    assert (answer.code, "says itself what it was learned on" in answer.err) == (2, True)
    assert faceid("list", "-q").out == "anna\n"


def test_a_person_of_faceid_needs_no_model(add_person, faceid, tiny_model_dir) -> None:
    add_person("alice")
    faceid("export", "alice")
    answer = faceid("import", "alice.safetensors", "--name", "b", "--model", tiny_model_dir)
    assert answer.code == 2
    assert "says itself what it was learned on" in answer.err

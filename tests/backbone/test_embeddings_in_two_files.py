"""Textual inversions for Stable Diffusion XL as two files, and files that are odd."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

import faceid_cli
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.errors import ModelError, ModelMismatchError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.tokens import files_of_embedding, read_embedding

FIRST, SECOND = torch.full((2, 32), 1.0), torch.full((2, 64), 2.0)


@pytest.fixture(scope="module")
def xl(tiny_families) -> BaseModel:
    return load_base_model(str(tiny_families("sdxl").folder), "cpu", "float32")


def write(folder: Path, **files: torch.Tensor) -> None:
    for name, vectors in files.items():
        save_file({"<ink>": vectors.clone()}, folder / f"{name.replace('__', '-')}.safetensors")


def is_the_pair(base: BaseModel, path: Path) -> bool:
    keys = read_embedding(path, base).keys
    return torch.equal(keys["text_encoder"], FIRST[None]) and torch.equal(keys["text_encoder_2"], SECOND[None])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("learned_embeds", "learned_embeds_2"),
        ("learned_embeds__steps__500", "learned_embeds_2__steps__500"),
        ("ink", "ink_2"),
        ("ink_1", "ink_2"),
        ("ink_clip_l", "ink_clip_g"),
        ("ink_2", "ink_2_2"),
    ],
)
def test_each_of_two_files_brings_the_other_along_and_so_does_their_folder(xl, tmp_path, first, second):
    write(tmp_path, **{first: FIRST, second: SECOND})
    files = [tmp_path / f"{name.replace('__', '-')}.safetensors" for name in (first, second)]
    for path in (*files, tmp_path):
        assert files_of_embedding(path, xl) == files
        assert is_the_pair(xl, path)


def test_of_a_folder_the_last_files_are_taken(xl, tmp_path):
    write(tmp_path, learned_embeds__steps__500=FIRST + 5, learned_embeds_2__steps__500=SECOND + 5)
    write(tmp_path, learned_embeds__steps__1500=FIRST, learned_embeds_2__steps__1500=SECOND)
    assert is_the_pair(xl, tmp_path)
    write(tmp_path, learned_embeds=FIRST + 1, learned_embeds_2=SECOND + 1)
    assert torch.equal(read_embedding(tmp_path, xl).keys["text_encoder_2"], SECOND[None] + 1)


def test_the_two_may_be_of_different_formats(xl, tmp_path):
    write(tmp_path, learned_embeds=FIRST)
    torch.save({"<ink>": SECOND}, tmp_path / "learned_embeds_2.bin")
    assert is_the_pair(xl, tmp_path / "learned_embeds.safetensors")
    assert is_the_pair(xl, tmp_path / "learned_embeds_2.bin")


def test_a_whole_file_is_read_alone_whatever_lies_beside(xl, tmp_path):
    for index, name in enumerate(("ink", "ink_2")):
        save_file({"clip_l": FIRST + index, "clip_g": SECOND + index}, tmp_path / f"{name}.safetensors")
    for index, name in enumerate(("ink", "ink_2")):
        assert torch.equal(
            read_embedding(tmp_path / f"{name}.safetensors", xl).keys["text_encoder"], FIRST[None] + index
        )


def test_a_base_with_one_text_encoder_never_looks_beside(tiny_base, tmp_path):
    write(tmp_path, ink=FIRST, ink_2=FIRST + 1)
    for name, added in (("ink", 0), ("ink_2", 1)):
        path = tmp_path / f"{name}.safetensors"
        assert files_of_embedding(path, tiny_base) == [path]
        assert torch.equal(read_embedding(path, tiny_base).keys["text_encoder"], FIRST[None] + added)


def test_half_of_two_and_halves_that_do_not_fit(xl, tmp_path):
    write(tmp_path, learned_embeds=FIRST)
    with pytest.raises(ModelMismatchError, match="is for 1 text encoders, the base model has 2") as caught:
        read_embedding(tmp_path / "learned_embeds.safetensors", xl)
    assert "keep both in one folder" in caught.value.hint
    write(tmp_path, learned_embeds_2=SECOND[:1])
    with pytest.raises(UnsupportedModelError, match="different numbers of vectors"):
        read_embedding(tmp_path, xl)
    write(tmp_path, learned_embeds_2=FIRST)
    with pytest.raises(ModelMismatchError, match="vectors of width 32, the base model's text encoder has 64"):
        read_embedding(tmp_path, xl)


def test_folders_that_hold_no_one_embedding(tiny_base, tmp_path):
    with pytest.raises(ModelNotFoundError, match="holds no embeddings, not one"):
        read_embedding(tmp_path, tiny_base)
    write(tmp_path, ink=FIRST, pen=FIRST)
    with pytest.raises(ModelNotFoundError, match="holds 2 embeddings, not one"):
        read_embedding(tmp_path, tiny_base)


def test_a_single_tensor_is_an_embedding(tiny_base, tmp_path):
    torch.save(FIRST, tmp_path / "ink.pt")
    assert torch.equal(read_embedding(tmp_path / "ink.pt", tiny_base).keys["text_encoder"], FIRST[None])


def test_odd_embeddings_are_named(tiny_base, tmp_path):
    (tmp_path / "renamed.pt").write_bytes(save({"emb_params": FIRST}))
    header = json.dumps(
        {"__metadata__": {"a": None}, "x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    (tmp_path / "null.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    (tmp_path / "more.safetensors").write_bytes(save({"emb_params": FIRST}) + b"xx")
    torch.save({"string_to_param": None}, tmp_path / "none.pt")
    (tmp_path / "page.bin").write_text("<html>log in</html>")
    for name, words in (
        ("renamed.pt", "is a safetensors file with another ending"),
        ("null.safetensors", "its metadata has null for 'a'"),
        ("more.safetensors", "2 bytes that belong to no tensor"),
        ("none.pt", "is not a textual-inversion file"),
        ("page.bin", "is a page or a message of a web site"),
    ):
        with pytest.raises(ModelError, match=words) as caught:
            read_embedding(tmp_path / name, tiny_base)
        assert "run code" not in caught.value.message


@pytest.mark.parametrize("files", ["one", "two"])
def test_both_become_a_person(tiny_families, tmp_path, files):
    if files == "two":
        write(tmp_path, ink=FIRST, ink_2=SECOND)
    else:
        save_file({"clip_l": FIRST, "clip_g": SECOND}, tmp_path / "ink.safetensors")
    model = str(tiny_families("sdxl").folder)
    person = faceid_cli.import_identity(tmp_path / "ink.safetensors", model=model)
    stored = load_identity(person.path)
    assert person.name == "ink"
    assert {name: part.shape for name, part in stored.values.items()} == {
        "text_encoder": (1, 2, 32),
        "text_encoder_2": (1, 2, 64),
    }
    if files == "one":
        with pytest.raises(ModelMismatchError, match="2 text encoders, the base model has 1"):
            faceid_cli.import_identity(tmp_path / "ink.safetensors", name="b", model=str(tiny_families("sd2").folder))

"""Textual-inversion files of others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from faceid_cli.errors import ModelMismatchError, ModelNotFoundError, UnsupportedModelError, UsageError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.prompts import parse_embedding, place_people
from faceid_cli.tokens import class_embedding, encode_prompt, read_embedding


@pytest.mark.parametrize("name", ["emb_params", "<style>", "clip_l"])
@pytest.mark.parametrize("vectors", [1, 2])
def test_one_tensor_under_any_name(tiny_base, tmp_path, name, vectors):
    rows = torch.stack([class_embedding(tiny_base, word) for word in ("man", "old")])[:vectors]
    save_file({name: rows.half()}, tmp_path / "style.safetensors")
    tokens = read_embedding(tmp_path / "style.safetensors", tiny_base)
    assert tokens.stages == 1
    assert tokens.vectors == vectors
    found = encode_prompt(tiny_base, "a photo of <style>", {"style": tokens})
    expected = encode_prompt(tiny_base, f"a photo of {' '.join(('man', 'old')[:vectors])}", {})
    assert torch.allclose(found.keys, expected.keys, atol=1e-2)


def test_a_picture_with_a_word_of_others(tiny_base, tmp_path):
    save_file({"emb_params": class_embedding(tiny_base, "beach")[None]}, tmp_path / "b.safetensors")
    words = {"b": read_embedding(tmp_path / "b.safetensors", tiny_base)}
    config = RenderConfig(steps=2)
    marked = render(tiny_base, "a cup at <b>", {}, [1], config, words=words)[0]
    plain = render(tiny_base, "a cup at beach", {}, [1], config)[0]
    assert marked.image.tobytes() == plain.image.tobytes()
    assert marked.request.names == ()


def test_older_files_are_pickles_of_several_shapes(tiny_base, tmp_path):
    vectors = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    webui = {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": torch.nn.Parameter(vectors)},
        "name": "ink",
        "step": 1500,
        "sd_checkpoint": "81761151",
        "sd_checkpoint_name": "v1-5-pruned",
    }
    for name, content in (("ink.pt", webui), ("learned_embeds.bin", {"<ink>": vectors})):
        torch.save(content, tmp_path / name)
        tokens = read_embedding(tmp_path / name, tiny_base)
        assert torch.equal(tokens.keys["text_encoder"], vectors[None])
        assert not tokens.keys["text_encoder"].requires_grad
    save_file({"emb_params": vectors, "steps": torch.zeros(1)}, tmp_path / "more.safetensors")
    assert torch.equal(read_embedding(tmp_path / "more.safetensors", tiny_base).keys["text_encoder"], vectors[None])


def test_a_pickle_that_could_run_code_is_refused(tiny_base, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"string_to_param": {"*": Evil()}}, tmp_path / "evil.pt")
    (tmp_path / "cut.bin").write_bytes(b"\x80\x04")
    for name in ("evil.pt", "cut.bin"):
        with pytest.raises(UnsupportedModelError, match="could run code, and is not loaded"):
            read_embedding(tmp_path / name, tiny_base)
    assert not (tmp_path / "ran").exists()


def test_files_that_do_not_fit(tiny_base, tmp_path):
    save_file({"emb_params": torch.zeros(1, 16)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelMismatchError, match="vectors of width 16, the base model's text encoder has 32"):
        read_embedding(tmp_path / "other.safetensors", tiny_base)
    save_file({"clip_l": torch.zeros(1, 32), "clip_g": torch.zeros(1, 64)}, tmp_path / "xl.safetensors")
    with pytest.raises(ModelMismatchError, match="is for 2 text encoders, the base model has 1"):
        read_embedding(tmp_path / "xl.safetensors", tiny_base)
    save_file({"a": torch.zeros(1, 32), "b": torch.zeros(1, 32)}, tmp_path / "two.safetensors")
    with pytest.raises(UnsupportedModelError, match="is not a textual-inversion file"):
        read_embedding(tmp_path / "two.safetensors", tiny_base)
    for content in ([1, 2], {"string_to_param": {}}, {"step": 3}):
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(UnsupportedModelError, match="is not a textual-inversion file"):
            read_embedding(tmp_path / "x.pt", tiny_base)
    save_file({"clip_l": torch.zeros(1, 1, 32), "clip_g": torch.zeros(1, 1, 64)}, tmp_path / "deep.safetensors")
    with pytest.raises((UnsupportedModelError, ModelMismatchError)):
        read_embedding(tmp_path / "deep.safetensors", tiny_base)
    (tmp_path / "cut.safetensors").write_bytes(b"PK")
    with pytest.raises(UnsupportedModelError, match="is not a safetensors file, or is damaged"):
        read_embedding(tmp_path / "cut.safetensors", tiny_base)
    with pytest.raises(ModelNotFoundError, match="no embedding at"):
        read_embedding(tmp_path / "none.safetensors", tiny_base)


def test_words_for_files():
    assert parse_embedding("styles/ink.safetensors") == (Path("styles/ink.safetensors"), "ink")
    assert parse_embedding("styles/ink.v2.safetensors:ink") == (Path("styles/ink.v2.safetensors"), "ink")
    with pytest.raises(UsageError, match=r"'ink\.v2' cannot stand in a prompt"):
        parse_embedding("styles/ink.v2.safetensors")


def test_words_may_be_marked_beside_people():
    assert place_people("in <ink>, castle", ["al"], ["ink"]) == "a photo of <al> in <ink>, castle"
    assert place_people("<al> in <ink>", ["al"], ["ink"]) == "<al> in <ink>"
    with pytest.raises(UsageError, match="<pen>, which is none"):
        place_people("<al> in <pen>", ["al"], ["ink"])

"""Odd files of others: each is used where that is right, else named for what it is, and none is a traceback."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from faceid_cli.backbone import load_base_model
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.model_files import check_model, fingerprint_of
from faceid_cli.orders import ModelOptions

OLD = ("q", "k", "v", "proj_out", "norm")
NEWER = ("to_q", "to_k", "to_v", "to_out.0", "group_norm")
FORMER = ("query", "key", "value", "proj_attn", "group_norm")


def load(path: Path, **options: object) -> object:
    return load_base_model(str(path), "cpu", "float32", ModelOptions(**options))


def renamed(tensors: dict[str, torch.Tensor], names: tuple[str, ...], as_matrix: bool) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors with other names for the attention of its VAE."""
    found = {}
    for name, value in tensors.items():
        start, middle, rest = name.partition(".mid.attn_1.")
        if middle:
            part, _, kind = rest.rpartition(".")
            name = f"{start}{middle}{names[OLD.index(part)]}.{kind}"
            value = value.flatten(1) if as_matrix and value.ndim > 1 else value
        found[name] = value.contiguous()
    return found


@pytest.mark.parametrize(("names", "as_matrix"), [(NEWER, True), (NEWER, False), (FORMER, True)])
def test_a_vae_may_have_any_of_the_names_that_its_attention_had(tiny_families, tmp_path, names, as_matrix):
    tiny = tiny_families("sd1")
    tensors = renamed(load_file(tiny.file), names, as_matrix)
    save_file(tensors, tmp_path / "model.safetensors")
    start = "first_stage_model."
    vae = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
    save_file(vae, tmp_path / "vae.safetensors")
    expected = load(tiny.file).pipeline.vae.state_dict()
    assert fingerprint_of(str(tmp_path / "model.safetensors")) == fingerprint_of(str(tiny.file))
    for base in (load(tmp_path / "model.safetensors"), load(tiny.folder, vae=str(tmp_path / "vae.safetensors"))):
        found = base.pipeline.vae.state_dict()
        assert all(torch.equal(value, found[name]) for name, value in expected.items())


@pytest.mark.parametrize("names", [NEWER, FORMER])
def test_a_vae_may_be_the_weight_file_of_a_folder(tiny_families, tmp_path, names):
    folder = tiny_families("sd1").folder
    tensors = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    for new, name in zip(NEWER, names, strict=True):
        tensors = {key.replace(f".{new}.", f".{name}."): value for key, value in tensors.items()}
    save_file(tensors, tmp_path / "vae.safetensors")
    found = load(folder, vae=str(tmp_path / "vae.safetensors")).pipeline.vae.state_dict()
    expected = load(folder).pipeline.vae.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_a_name_that_no_vae_has_is_told(tiny_families, tmp_path):
    tensors = load_file(tiny_families("sd1").file)
    tensors["first_stage_model.encoder.mid.attn_1.rope.weight"] = torch.zeros(2, 2)
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"does not fit a AutoencoderKL: .*mid_block\.attentions\.0\.rope"):
        load(tmp_path / "x.safetensors")


def table(header: object, after: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + after


ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (save({"a": torch.zeros(2)}) + b"\n", "1 bytes that belong to no tensor follow behind the last one"),
        (save({"a": torch.zeros(2)})[:-1], "the file is cut off"),
        (table({"__metadata__": {"format": None}, "a": ENTRY}, bytes(4)), "its metadata has null for 'format'"),
        (table({"__metadata__": {"step": 3}, "a": ENTRY}, bytes(4)), "its metadata has 3 for 'step'"),
        (table({"__metadata__": ["x"], "a": ENTRY}, bytes(4)), "its metadata is no table of texts"),
        (table({"a": {**ENTRY, "data_offsets": [4, 8]}}, bytes(8)), "its tensors overlap, or leave gaps"),
        (table({"a": ENTRY, "b": ENTRY}, bytes(4)), "its tensors overlap, or leave gaps"),
        (table({"a": None}), "its list of tensors cannot be read"),
        (table({"a": {"dtype": "F32"}}), "its list of tensors cannot be read"),
        (table([1]), "its list of tensors cannot be read"),
        (table(b"\xff\xfe{}"), "its list of tensors cannot be read"),
        (bytes(4096), "it holds only zeros"),
        (b"PK\x03\x04" + bytes(64), "it is a PyTorch file"),
        (b"\x80\x02}q\x00" + bytes(64), "it is a pickle"),
        (b"GGUF\x03\x00\x00\x00" + bytes(64), "it is a GGUF file of quantised weights"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "it is a picture"),
    ],
)
def test_what_is_wrong_with_a_safetensors_file_is_said(tmp_path, content, words):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        check_model(str(tmp_path / "x.safetensors"))
    assert words in caught.value.message


def test_metadata_may_be_null_as_a_whole(tiny_families, tmp_path):
    content = tiny_families("sd1").file.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = {"__metadata__": None, **json.loads(content[8 : 8 + length])}
    (tmp_path / "x.safetensors").write_bytes(table(header, content[8 + length :]))
    assert fingerprint_of(str(tmp_path / "x.safetensors")) == fingerprint_of(str(tiny_families("sd1").file))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (save({"a": torch.zeros(2)}), "is a safetensors file with another ending"),
        (b"<!DOCTYPE html>" + bytes(64), "is a page or a message of a web site"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\n", "is a Git LFS pointer"),
        (b"GGUF\x03\x00\x00\x00" + bytes(64), "is a GGUF file"),
        (bytes(64), "it holds only zeros"),
        (b"", "it is empty"),
    ],
)
def test_other_files_with_a_pickles_ending_are_not_said_to_run_code(tiny_families, tmp_path, content, words):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        check_model(str(tmp_path / "x.ckpt"))
    assert words in caught.value.message
    assert "run code" not in caught.value.message
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load(tiny_families("sd1").folder, vae=str(tmp_path / "x.pt"))
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.zeros(3, 3), "holds a single tensor without a name"),
        ({"state_dict": None}, "holds no weights"),
        ({"state_dict": [torch.zeros(1)]}, "holds no weights"),
        ([torch.zeros(1)], "holds no weights"),
        ({"epoch": 3}, "holds no weights"),
        (None, "holds no weights"),
    ],
)
def test_pickles_without_a_model_are_named(tmp_path, content, words):
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(UnsupportedModelError, match=words):
        check_model(str(tmp_path / "x.ckpt"))


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (("x/data.pkl", "x/constants.pkl", "x/code/__torch__.py"), r"is a program \(TorchScript\)"),
        (("model.safetensors", "read me.txt"), "is a ZIP archive"),
    ],
)
def test_archives_of_other_things_are_not_taken_for_damage(tmp_path, inside, words):
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w") as archive:
        for name in inside:
            archive.writestr(name, b"x")
    with pytest.raises(UnsupportedModelError, match=words):
        check_model(str(tmp_path / "x.ckpt"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ("model_ema.diffusion_modelout2weight", "first_stage_model.decoder.conv_in.weight"),
            r"is only the averaged weights \(EMA\) of a model",
        ),
        (("first_stage_model.decoder.conv_in.weight", "cond_stage_model.transformer.x"), "is a text encoder"),
        (("text_model.encoder.layers.0.mlp.fc1.weight",), "is a text encoder"),
        (("clip_l", "clip_g"), "is a textual-inversion file"),
        (("text_encoder.keys", "text_encoder.values"), "is a person that faceid exported"),
        (("lora_unet_mid_block_x.hada_w1_a",), "is a LoRA"),
        (("unet.mid_block.attn1.processor.to_q_lora.down.weight",), "is a LoRA"),
        (("decoder.layers.1.weight",), "is a tiny autoencoder"),
        ((), "holds no weights"),
    ],
)
def test_files_that_are_no_base_models_are_called_by_their_names(tmp_path, names, words):
    save_file({name: torch.zeros(2, 2) for name in names}, tmp_path / "x.safetensors")
    with pytest.raises(UnsupportedModelError, match=words) as caught:
        check_model(str(tmp_path / "x.safetensors"))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ("decoder.", "is a decoder alone, without its encoder"),
        ("encoder.", "is an encoder alone, without its decoder"),
        ("post_quant", "is a decoder alone"),
    ],
)
def test_half_a_vae_is_refused_by_name(tiny_families, tmp_path, kept, words):
    start = "first_stage_model."
    whole = load_file(tiny_families("sd1").file)
    if kept == "post_quant":  # as some programs cut it: everything but the encoder, within a checkpoint
        save_file({name: value for name, value in whole.items() if f"{start}encoder" not in name}, tmp_path / "x.sft")
        (tmp_path / "x.sft").rename(tmp_path / "x.safetensors")
        with pytest.raises(UnsupportedModelError, match=words):
            check_model(str(tmp_path / "x.safetensors"))
        return
    vae = {name.removeprefix(start): value for name, value in whole.items() if name.startswith(start + kept)}
    save_file(vae, tmp_path / "x.safetensors")
    with pytest.raises(UnsupportedModelError, match=words):
        load(tiny_families("sd1").folder, vae=str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize(
    "names", [("decoder.layers.1.weight", "encoder.layers.0.weight"), ("1.weight", "3.conv.0.weight")]
)
def test_a_tiny_vae_is_refused_by_name(tiny_families, tmp_path, names):
    save_file({name: torch.zeros(2, 2) for name in names}, tmp_path / "taesd.safetensors")
    with pytest.raises(UnsupportedModelError, match=r"is a tiny autoencoder \(TAESD\)"):
        load(tiny_families("sd1").folder, vae=str(tmp_path / "taesd.safetensors"))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (
            {"model.diffusion_model.input_blocks.0.0.weight": (4, 4), "cond_stage_model.transformer.x": (4,)},
            "incomplete",
        ),
        (
            {
                "model.diffusion_model.input_blocks.1.1.proj_in.weight": (4, 4),
                "model.diffusion_model.x.attn2.to_k.weight": (),
                "cond_stage_model.transformer.x": (4,),
            },
            "is incomplete: model.diffusion_model.input_blocks.1.0.out_layers.3.weight is missing",
        ),
    ],
)
def test_checkpoints_with_parts_alone_are_incomplete(tmp_path, tensors, words):
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=words):
        check_model(str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"encoder.conv_in.weight": (), "decoder.conv_in.weight": ()}, "is incomplete: encoder.down_blocks.0"),
        (
            {"encoder.down.0.block.0.conv1.weight": (), "decoder.conv_in.weight": (4, 4, 3, 3)},
            "has weights of odd shapes",
        ),
        (
            {"encoder.down.0.block.0.conv1.weight": (7, 7, 3, 3), "decoder.conv_in.weight": (7, 4, 3, 3)},
            "is of sizes that no Stable Diffusion has",
        ),
    ],
)
def test_vaes_of_odd_sizes_are_no_tracebacks(tiny_families, tmp_path, tensors, words):
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=words):
        load(tiny_families("sd1").folder, vae=str(tmp_path / "x.safetensors"))
